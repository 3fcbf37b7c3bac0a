import { cp, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordedChange } from '../../testbed/recorder.ts'
import type { Arrival } from './oracle-receiver.ts'

/** What is left of a seed that failed. */
export interface Evidence {
  readonly plan: object
  readonly history: readonly RecordedChange[]
  /** Of each sink. */
  readonly logs: readonly (readonly Arrival[])[]
  /** What each run of the bridge printed. */
  readonly outputs: readonly string[]
  /** Where the bridge kept its state and its spools. */
  readonly folder: string
}

/** Writes all of it to a folder that stays. Resolves with its path. */
export async function keep(name: string, { plan, history, logs, outputs, folder: from }: Evidence): Promise<string> {
  const folder = join(tmpdir(), `deltawire-oracle-${name}`)
  await copyFolder(from, folder)
  const lines = (values: readonly unknown[]) => `${values.map((value) => JSON.stringify(value)).join('\n')}\n`
  await writeFile(join(folder, 'plan.json'), JSON.stringify(plan, null, 2))
  await writeFile(join(folder, 'server.ndjson'), lines(history))
  for (const [index, log] of logs.entries()) await writeFile(join(folder, `sink-${index}.ndjson`), lines(log))
  for (const [index, output] of outputs.entries()) await writeFile(join(folder, `run-${index + 1}.log`), output)
  return folder
}

/** All but sockets. */
export async function copyFolder(from: string, to: string): Promise<void> {
  const filter = async (file: string) => !(await stat(file)).isSocket()
  await cp(from, to, { recursive: true, filter, force: true })
}
