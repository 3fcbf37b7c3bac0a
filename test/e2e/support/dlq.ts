import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { BridgeProcess } from './bridge-process.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')

/** `deltawire dlq ...` against this bridge. */
export async function dlq(bridge: BridgeProcess, ...args: readonly string[]) {
  const url = await bridge.adminUrl()
  return await new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const command = [main, 'dlq', ...args, '--url', url]
    execFile(process.execPath, command, { maxBuffer: 2 ** 28 }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}

/** As `dlq list --output json` has it. */
export interface ListedLetter {
  readonly id: string
  readonly sink: string
  readonly code: string
  readonly reason: string
  readonly attributes: { readonly id: string; readonly subject: string; readonly type: string }
}

export async function listed(bridge: BridgeProcess): Promise<readonly ListedLetter[]> {
  const { code, out, err } = await dlq(bridge, 'list', '--output', 'json', '--limit', '100000')
  assert.equal(code, 0, err)
  return out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
}
