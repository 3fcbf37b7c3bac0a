/** What a sink's spool tells, as log lines. */
import type { SpoolStats } from '../delivery/spool.ts'
import type { SpoolNews } from '../delivery/spool-log.ts'
import type { Telemetry } from './telemetry.ts'

/** One line per change of state. */
export function tellSpool(sink: string, news: SpoolNews, { logger, states }: Telemetry): void {
  const key = `spool of sink ${sink}`
  switch (news.type) {
    case 'opened': {
      const { events } = news
      logger.info({ sink, events }, 'the spool of the sink is open; what an earlier process left is sent first')
      return
    }
    case 'damaged': {
      const level = news.damage.type === 'corrupt' ? 'error' : 'warn'
      logger[level]({ sink, ...news.damage }, damageWords[news.damage.type])
      return
    }
    case 'unknown':
      states.tell({
        key: `${key}: version`,
        state: 'unknown',
        level: 'warn',
        message: 'records in the spool of the sink are of another version, and are left out',
        fields: { sink },
      })
      return
    case 'failed':
      states.tell({
        key,
        state: news.problem,
        level: 'error',
        message: 'the spool of the sink takes nothing at the moment: what is for the sink waits, and is tried again',
        fields: { sink, reason: news.problem },
      })
      return
    case 'healed':
      states.tell({
        key,
        state: 'healed',
        level: 'info',
        message: 'the spool of the sink is in order',
        fields: { sink },
      })
  }
}

const damageWords = {
  torn: 'the last event in the spool of the sink was not written to its end, as after a crash, and is cut off',
  corrupt:
    'the spool of the sink has changed on the disk: events from `offset` to `to` are not sent; the bytes are kept in `setAside`, and a full snapshot repairs copies',
  cursor: 'how far the spool of the sink was delivered is not known: it is sent from its beginning',
} as const

/** For readiness; undefined while it is in order. */
export function spoolTrouble(spool: SpoolStats | undefined): string | undefined {
  if (!spool) return undefined
  const problem = spool.problem === undefined ? undefined : `its spool takes nothing: ${spool.problem}`
  const damage = spool.damage === undefined ? undefined : `its spool: ${spool.damage}`
  return [problem, damage].filter((text) => text !== undefined).join('; ') || undefined
}
