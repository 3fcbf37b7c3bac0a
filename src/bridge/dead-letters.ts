/** The store of dead letters that the configuration asks for, what it tells, and what the admin API sees of it. */
import type { DeadLetterAdmin, DeadLetterSummary, ReplayRequest, ReplayResult } from '../admin/dead-letters.ts'
import type { Readiness } from '../admin/readiness.ts'
import { DeadLetterJournal } from '../delivery/dead-letter-journal.ts'
import type { DeadLettersOptions } from '../delivery/dead-letter-options.ts'
import { DeadLetterRing, type KeptDeadLetter, type KeptDeadLetters } from '../delivery/dead-letters.ts'
import type { Replay, Replayed } from '../delivery/replay.ts'
import type { Clock } from '../lib/clock.ts'
import { parseBytes } from '../lib/units.ts'
import type { Telemetry } from './telemetry.ts'

export interface DeadLetters extends AsyncDisposable {
  readonly type: 'memory' | 'disk'
  readonly store: KeptDeadLetters
}

const KEY = 'the dead letters'

/** With a line for the store while it cannot be used. It makes nobody unready: what is in order is delivered. */
export function withDeadLetters(readiness: Readiness, { store }: DeadLetters): Readiness {
  const { problem } = store.stats()
  if (problem === undefined) return readiness
  const detail = `cannot be kept, what is to be given up waits: ${problem}`
  return { ...readiness, checks: [...readiness.checks, { name: 'dead letters', ok: true, degraded: true, detail }] }
}

/** Says which store it is. One on disk is opened in the background, however often that takes. */
export function openDeadLetters({ path, bytes }: DeadLettersOptions, telemetry: Telemetry, clock: Clock): DeadLetters {
  const { logger, metrics } = telemetry
  const limits = { events: 10_000, bytes: 32 * 2 ** 20 }
  const dropped = droppedTold(telemetry, clock)
  if (path === undefined) {
    logger.info(
      limits,
      'dead letters are kept in memory and lost with the process; deadLetters.path keeps them on disk',
    )
    const store = new DeadLetterRing(limits, () => dropped(1))
    metrics.deadLetters.observe(() => store.stats())
    return { type: 'memory', store, [Symbol.asyncDispose]: async () => undefined }
  }
  const store = new DeadLetterJournal({
    path,
    bytes: parseBytes(bytes),
    clock,
    observer: {
      opened: (events) => logger.info({ path, events }, 'dead letters are kept on disk'),
      damaged: (damage) => {
        const level = damage.type === 'corrupt' ? 'error' : 'warn'
        logger[level]({ path, ...damage }, damageWords[damage.type])
      },
      unknown: () => logger.warn({ path }, 'a record among the dead letters is of another version, and is left alone'),
      dropped,
      failed: (reason) => tellStore('failed', reason),
      healed: () => tellStore('healed'),
    },
  })
  const tellStore = (state: 'failed' | 'healed', reason?: string) => {
    const words = {
      failed: {
        level: 'error',
        message: 'dead letters cannot be kept: what is to be given up waits; it is tried again',
      },
      healed: { level: 'info', message: 'dead letters can be kept again' },
    } as const
    telemetry.states.tell({ key: KEY, state: reason ?? state, ...words[state], fields: { path } })
  }
  metrics.deadLetters.observe(() => store.stats())
  return { type: 'disk', store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
}

const damageWords = {
  torn: 'the last of the dead letters was not written to its end, as after a crash, and is cut off',
  corrupt:
    'dead letters have changed on the disk: those from `offset` to `to` are lost; the bytes are kept in `setAside`',
  cursor: 'where the dead letters begin is not known: those that were delivered since may be there again',
} as const

const TELL_DROPPED_EVERY_MS = 60_000

/** One line at once, then at most one a minute with the number since. */
function droppedTold({ logger }: Telemetry, clock: Clock): (events: number) => void {
  let since = 0
  let toldAt = Number.NEGATIVE_INFINITY
  return (events) => {
    since += events
    if (clock.monotonic() - toldAt < TELL_DROPPED_EVERY_MS) return
    logger.error({ events: since }, 'the oldest dead letters are dropped: there is no room for newer ones otherwise')
    since = 0
    toldAt = clock.monotonic()
  }
}

/** What the admin API asks for. */
export function deadLetterAdmin({ type, store }: DeadLetters, replay: Replay): DeadLetterAdmin {
  return {
    async list({ sink, after, limit }) {
      const letters = await store.page({ sink, after, limit })
      const { events, dropped } = store.stats()
      const next = letters.length === limit ? letters.at(-1)?.id : undefined
      return { store: { type, events, dropped }, items: letters.map(summary), next }
    },
    async show(id) {
      const letter = await store.get(id)
      return letter && { ...summary(letter), data: letter.event.data }
    },
    async *replay(request, signal) {
      for await (const replayed of replay.run(await idsOf(request, store), signal)) yield result(replayed)
    },
  }
}

async function idsOf(request: ReplayRequest, store: KeptDeadLetters): Promise<readonly string[]> {
  switch (request.type) {
    case 'ids':
      return request.ids
    case 'sink':
      return await store.ids(request.sink)
    case 'all':
      return await store.ids()
  }
}

function summary({ id, sink, code, reason, attempts, time, event }: KeptDeadLetter): DeadLetterSummary {
  return { id, sink, code, reason, attempts, time, dataBytes: event.dataBytes, attributes: event.attributes }
}

function result(replayed: Replayed): ReplayResult {
  if (replayed.type === 'missing') return { id: replayed.id, outcome: 'missing' }
  const { type: outcome, letter } = replayed
  const of = letter && { letter: { sink: letter.sink, attributes: letter.event.attributes } }
  if (replayed.type === 'delivered') return { id: replayed.letter.id, outcome, ...of }
  const id = replayed.type === 'unsettled' ? replayed.id : replayed.letter.id
  return { id, outcome, reason: replayed.reason, ...of }
}
