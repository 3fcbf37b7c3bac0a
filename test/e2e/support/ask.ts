import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { BridgeProcess } from './bridge-process.ts'

const main = join(import.meta.dirname, '../../../src/main.ts')

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A command that talks to a running bridge: `deltawire dlq ...`, `deltawire snapshot ...`. */
export async function ask(bridge: BridgeProcess, ...args: readonly string[]): Promise<Answer> {
  const url = await bridge.adminUrl()
  return await new Promise((resolve) => {
    const command = [main, ...args, '--url', url]
    execFile(process.execPath, command, { maxBuffer: 2 ** 28 }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}
