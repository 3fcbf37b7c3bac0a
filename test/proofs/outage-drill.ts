import assert from 'node:assert/strict'
import { clusterTypes } from '../e2e/support/drill-cluster.ts'
import {
  type DrillOptions,
  type DrillResult,
  drillOutage,
  judge,
  phases,
  policies,
} from '../e2e/support/outage-drill.ts'

export const description =
  'One of two sinks is away under 500 updates/s over 5,000 objects. coalesce|block|spool [SEED] [MINUTES] [refuse|hang|close] [simulator|real]'

const PER_SECOND = 500
/** How long it writes before the outage, and after the sink is current again; at most half as long as the outage. */
const AROUND_MINUTES = 0.5
/** A sink that is not current after this time under load will not be. */
const CATCHING_UP_MINUTES = 5

export async function prove([policy, seed, outageMinutes, outage, cluster]: readonly string[]): Promise<void> {
  const minutes = Number(outageMinutes ?? 10)
  const around = Math.min(AROUND_MINUTES, minutes / 2) * 60 * PER_SECOND
  const options: DrillOptions = {
    policy: oneOf(policies, policy),
    cluster: oneOf(clusterTypes, cluster ?? 'simulator'),
    outage: oneOf(['refuse', 'hang', 'close'], outage ?? 'refuse'),
    seed: Number(seed ?? Math.floor(Math.random() * 1e6)),
    objects: 5_000,
    writes: {
      before: around,
      during: minutes * 60 * PER_SECOND,
      catchingUp: CATCHING_UP_MINUTES * 60 * PER_SECOND,
      after: around,
    },
    perSecond: PER_SECOND,
  }
  const result = await drillOutage(options)
  console.log(JSON.stringify({ seed: options.seed, ...withFewProblems(result) }))
  console.table(tableOf(result))
  judge(result)
  if (result.policy === 'block') return
  const { before, outage: during } = result.phases
  const most = Math.max(2 * (before.watchToAck.p99 ?? 0), 100)
  const found = during.watchToAck.p99 ?? 0
  assert.ok(found <= most, `the sink that was well had a p99 of ${found} ms, at most ${most} were to be expected`)
}

/** A line that can be read, also if everything went wrong. */
function withFewProblems({ well, sick, ...others }: DrillResult): object {
  const first = (problems: readonly string[]) => problems.slice(0, 10)
  return {
    ...others,
    well: { ...well, problems: first(well.problems) },
    sick: { ...sick, problems: first(sick.problems) },
  }
}

function tableOf({ phases: figures }: DrillResult): object {
  const rows = phases.map((name) => {
    const { writeToReceipt, watchToAck, ...others } = figures[name]
    const well = {
      'write to receipt p50': writeToReceipt.p50,
      'p99 ': writeToReceipt.p99,
      'watch to ack p50': watchToAck.p50,
      p99: watchToAck.p99,
    }
    return [name, { ...well, ...others }]
  })
  return Object.fromEntries(rows)
}

function oneOf<T extends string>(known: readonly T[], text: string | undefined): T {
  const found = known.find((one) => one === text)
  if (!found) throw new Error(`one of ${known.join(', ')} is to be named, not ${text}`)
  return found
}
