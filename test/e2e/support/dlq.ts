import assert from 'node:assert/strict'
import { ask } from './ask.ts'
import type { BridgeProcess } from './bridge-process.ts'

/** `deltawire dlq ...` against this bridge. */
export async function dlq(bridge: BridgeProcess, ...args: readonly string[]) {
  return await ask(bridge, 'dlq', ...args)
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
