/** Script of a process: what is outside of the bridge, the API server that it reads and the receiver that it sends to. */
import { answer } from './child.ts'
import type { PodsOptions } from './pods.ts'
import { type Arrival, Receiver } from './receiver.ts'
import { type Release, WatchServer } from './watch-server.ts'

export interface Run extends Release {
  /** How long the receiver thinks. */
  readonly delayMs: number
  /** `nothing`: the events go elsewhere. */
  readonly await: 'events' | 'nothing'
}

export interface RunResult {
  /** When the first frame was sent, as `Date.now` says it. */
  readonly begunAt: number
  /** From the first frame being sent to the last answer. Of no meaning if nothing was awaited. */
  readonly durationMs: number
  /** Each event's, from its frame being sent to its answer; sorted. */
  readonly latenciesMs: readonly number[]
  /** As they came. */
  readonly events: readonly ReceivedEvent[]
  /** What did not come as it must, in words; the first ten. */
  readonly problems: readonly string[]
}

export interface ReceivedEvent {
  readonly id: string
  readonly attributes: Arrival['attributes']
  readonly body: string
}

export interface OutsideCalls {
  start(options: PodsOptions): Promise<{ readonly url: string; readonly receiver: string }>
  /** Resolves when somebody watches. */
  watched(_: undefined): Promise<void>
  /** Sends the updates' frames, and waits for as many events. */
  run(run: Run): Promise<RunResult>
}

let parts: { readonly server: WatchServer; readonly receiver: Receiver } | undefined

answer<OutsideCalls>({
  async start(options) {
    parts = { server: await WatchServer.start(options), receiver: await Receiver.start() }
    return { url: parts.server.url, receiver: parts.receiver.url }
  },
  async watched() {
    await started().server.watched()
  },
  async run(run) {
    const { server, receiver } = started()
    const frames = server.prepare(run)
    receiver.delayMs = run.delayMs
    receiver.take()
    const [begun, begunAt] = [performance.now(), Date.now()]
    const sentAt = await server.send(frames, run.perSecond)
    if (run.await === 'nothing') return { begunAt, durationMs: 0, latenciesMs: [], events: [], problems: [] }
    await receiver.until(run.updates)
    const arrivals = receiver.take()
    const events = arrivals.map(({ attributes, body }) => ({ id: String(attributes.id), attributes, body }))
    const latencies = arrivals.map(({ answeredAt }, index) => answeredAt - (sentAt.get(events[index]?.id ?? '') ?? 0))
    return {
      begunAt,
      durationMs: Math.max(...arrivals.slice(-1).map(({ answeredAt }) => answeredAt)) - begun,
      latenciesMs: latencies.sort((a, b) => a - b),
      events,
      problems: judge([...sentAt.keys()], events),
    }
  },
})

function started(): NonNullable<typeof parts> {
  if (!parts) throw new Error('it was not started')
  return parts
}

/** Each once, and those of an object in the order of their frames. */
function judge(sent: readonly string[], events: RunResult['events']): readonly string[] {
  const missing = new Set(sent)
  const last = new Map<string, number>()
  const problems: string[] = []
  for (const { id } of events) {
    const [uid = '', version] = id.split(':')
    if (!missing.delete(id)) problems.push(`${id} came twice, or was never sent`)
    if (Number(version) <= (last.get(uid) ?? 0)) problems.push(`${id} came after a newer one`)
    last.set(uid, Number(version))
  }
  for (const id of missing) problems.push(`${id} did not come`)
  return problems.slice(0, 10)
}
