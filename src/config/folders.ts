/** Folders on a disk: where a sink has one, and that nothing else has it. */
import { resolve } from 'node:path'
import type { SinkConfig } from './bridge-config.ts'
import type { ProcessConfig } from './process-section.ts'
import type { Entry } from './references.ts'
import type { SchemaProblem } from './schema-problem.ts'

/** A spool needs a folder, and a folder a spool. */
export function checkSpools(sinks: readonly Entry<SinkConfig>[]): readonly SchemaProblem[] {
  return sinks.flatMap(({ index, value: { options } }): readonly SchemaProblem[] => {
    const { whenFull, spool } = options.queue
    const path = ['sinks', index, 'queue'] as const
    if (whenFull === 'spool' && !spool) {
      const message = 'a spool needs a folder on a disk'
      return [{ path: [...path, 'whenFull'], about: 'value', message, expected: 'queue.spool.path beside it' }]
    }
    if (whenFull !== 'spool' && spool) {
      const message = `with whenFull: ${whenFull} nothing is written to a disk`
      return [{ path: [...path, 'spool'], about: 'key', message, expected: 'whenFull: spool, or no spool' }]
    }
    return []
  })
}

/** A state on disk needs a folder of its own, and a folder such a state. */
export function checkState({ state, deadLetters }: Partial<ProcessConfig>): readonly SchemaProblem[] {
  if (state?.type === 'file' && state.path === undefined) {
    const message = 'a state on disk needs a folder'
    return [{ path: ['state', 'type'], about: 'value', message, expected: 'state.path beside it' }]
  }
  if (state?.type !== 'file' && state?.path !== undefined) {
    const message = `with type: ${state.type} nothing is written to a disk`
    return [{ path: ['state', 'path'], about: 'key', message, expected: 'type: file, or no path' }]
  }
  if (state?.path === undefined || deadLetters?.path === undefined) return []
  if (resolve(state.path) !== resolve(deadLetters.path)) return []
  const message = 'the folder is that of the dead letters, too'
  return [{ path: ['state', 'path'], about: 'value', message, expected: 'a folder of its own' }]
}

/** Two sinks, or a sink and the dead letters or the state, in one folder. `taken`: folders by what they are for. */
export function checkFolders(
  sinks: readonly Entry<SinkConfig>[],
  taken: Readonly<Record<string, string | undefined>>,
): readonly SchemaProblem[] {
  const users = new Map<string, string>()
  for (const [user, folder] of Object.entries(taken)) if (folder !== undefined) users.set(resolve(folder), user)
  return sinks.flatMap(({ index, value: { options } }) => {
    const { name, queue } = options
    if (!queue.spool) return []
    const folder = resolve(queue.spool.path)
    const user = users.get(folder)
    users.set(folder, `sink ${name}`)
    if (user === undefined) return []
    const path = ['sinks', index, 'queue', 'spool', 'path']
    const message = `the folder is that of ${user}, too`
    return [{ path, about: 'value' as const, message, expected: 'a folder of its own' }]
  })
}
