import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** The newest position of each stream that a folder of state has for one of its sinks. */
export async function positionsIn(path: string): Promise<ReadonlyMap<string, string>> {
  const notes = (await logIn(path)).matchAll(/\["w","([^"]+)","[^"]+","(\d+)"\]/g)
  return new Map([...notes].map(([, stream = '', position = '']) => [stream, position]))
}

/** Streams of which a folder of state says that one of its sinks is owed nothing any more. */
export async function debtsPaidIn(path: string): Promise<ReadonlySet<string>> {
  const owed = new Map<string, boolean>()
  for (const [, stream = '', kind] of (await logIn(path)).matchAll(/\["d","([^"]+)","[^"]+",(null|"\w+")\]/g)) {
    owed.set(stream, kind !== 'null')
  }
  return new Set([...owed].flatMap(([stream, isOwed]) => (isOwed ? [] : [stream])))
}

/** All that was noted in a folder of state, as text. */
export async function logIn(path: string): Promise<string> {
  const logs = (await readdir(path)).filter((name) => name.endsWith('.log')).sort()
  return (await Promise.all(logs.map((name) => readFile(join(path, name), 'latin1')))).join('')
}

/** Whether the end of the log, which nobody appends to, is noted: from then on it is seen if some of it is gone. */
export async function isEndNoted(path: string): Promise<boolean> {
  const [log = ''] = (await readdir(path)).filter((name) => name.endsWith('.log'))
  const [, end] = (await readFile(join(path, 'cursor'), 'latin1')).split(' ')
  return Number(end) === (await stat(join(path, log))).size
}
