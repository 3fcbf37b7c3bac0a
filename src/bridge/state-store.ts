/** The store that the configuration asks for, and what it tells. */
import type { Readiness } from '../admin/readiness.ts'
import type { Clock } from '../lib/clock.ts'
import type { StartPlan } from '../reconcile/ladder.ts'
import { FileStore } from '../state/file-store.ts'
import type { StateOptions } from '../state/options.ts'
import { MemoryStore, type StateStore } from '../state/store.ts'
import type { Telemetry } from './telemetry.ts'

const KEY = 'the state'

/** One on disk is opened in the background, however often that takes: until then no stream starts. */
export function openState({ type, path = '', fsync }: StateOptions, telemetry: Telemetry, clock: Clock): StateStore {
  const { logger } = telemetry
  if (type === 'memory') return new MemoryStore()
  const tell = (state: 'failed' | 'healed', reason?: string) => {
    const words = {
      failed: { level: 'error', message: 'the state cannot be written or read: streams wait; it is tried again' },
      healed: { level: 'info', message: 'the state can be written and read again' },
    } as const
    telemetry.states.tell({ key: KEY, state: reason ?? state, ...words[state], fields: { path } })
  }
  return new FileStore({
    path,
    fsync,
    clock,
    observer: {
      opened: (found) => logger.info({ path, ...found }, 'the state is kept on disk'),
      damaged: (damage) => {
        const level = damage.type === 'corrupt' || damage.type === 'truncated' ? 'error' : 'warn'
        logger[level]({ path, ...damage }, damageWords[damage.type])
      },
      failed: (reason) => tell('failed', reason),
      healed: () => tell('healed'),
      compacted: (bytes) => logger.debug({ path, bytes }, 'the state was written anew'),
    },
  })
}

const damageWords = {
  torn: 'the last entry of the state was not written to its end, as after a crash, and is cut off; nobody relied on it',
  corrupt:
    'the state has changed on the disk, or another version wrote it: what sinks hold is not known any more, so each gets a full snapshot; the bytes are kept in `setAside`',
  truncated:
    'the end of the state is gone from the disk: what sinks hold is not known any more, so each gets a full snapshot',
  cursor: 'where the state begins is not known: it is read from the beginning',
} as const

/** With a line for the store while it cannot be used. It makes nobody unready: another pod would not do better. */
export function withState(readiness: Readiness, { problem }: StateStore): Readiness {
  if (problem === undefined) return readiness
  const detail = `cannot be written or read, streams wait: ${problem}`
  return { ...readiness, checks: [...readiness.checks, { name: 'state', ok: true, degraded: true, detail }] }
}

/** How a stream has started, if anything is remembered at all. */
export function tellStart(stream: string, { rung, sinks, informer }: StartPlan, { logger }: Telemetry): void {
  const owed = [...sinks].flatMap(([name, { debt }]) => (debt ? [`${name}: ${debt.kind}`] : []))
  const from = informer?.resourceVersion
  logger.info({ stream, rung, ...(from && { from }), ...(owed.length > 0 && { owed }) }, startWords[rung])
}

const startWords = {
  replay: 'the stream goes on where it ended',
  compare: 'the stream is compared with what its sinks hold: the history does not reach back to where it ended',
  announce: 'the stream starts with full snapshots',
} as const
