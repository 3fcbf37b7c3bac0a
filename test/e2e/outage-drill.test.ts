import { test } from 'node:test'
import { type DrillOptions, drillOutage, judge } from './support/outage-drill.ts'

const drills = {
  'coalesce, nobody listens': { policy: 'coalesce', outage: 'close', cluster: 'real' },
  'coalesce, no answer': { policy: 'coalesce', outage: 'hang', cluster: 'simulator' },
  'block, 503': { policy: 'block', outage: 'refuse', cluster: 'simulator', queue: { events: 200 } },
  'spool, nobody listens': {
    policy: 'spool',
    outage: 'close',
    cluster: 'simulator',
    queue: { events: 200 },
  },
} satisfies Record<string, Pick<DrillOptions, 'policy' | 'outage' | 'cluster' | 'queue'>>

for (const [name, drill] of Object.entries(drills)) {
  test(`P1 P2 P7 F42 one of two sinks goes away and comes back, and nothing is lost: ${name}`, async (t) => {
    const seed = Math.floor(Math.random() * 1e6)
    t.diagnostic(`seed ${seed}`)
    const writes = { before: 300, during: 1_200, catchingUp: 500, after: 300 }
    const sink = { timeout: '3s', retry: { initial: '50ms', max: '500ms' } }
    const result = await drillOutage({ ...drill, seed, objects: 200, writes, perSecond: 200, sink })
    t.diagnostic(JSON.stringify(result))
    judge(result)
  })
}
