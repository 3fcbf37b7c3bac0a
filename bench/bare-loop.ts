/**
 * What the bridge costs beside the least that could do its work: a loop that parses the same frames, serialises the same
 * events and sends the same bytes. The runs of both take turns, and ratios are of two that are neighbours, so that what
 * else the machine does strikes both.
 */
import { isDeepStrictEqual } from 'node:util'
import { KafkaConnection } from '../sinks/kafka/testing/client.ts'
import { eventually } from '../test/support/eventually.ts'
import { startKafka, type TestKafka } from '../test/testbed/kafka.ts'
import type { BareTarget } from './support/bare.ts'
import type { RunResult } from './support/outside.ts'
import type { Report } from './support/report.ts'
import { BareSide, BridgeSide, local } from './support/stand.ts'
import { median } from './support/statistics.ts'

export const description = 'The bridge against a loop that only parses, serialises and sends the same: events/s, CPU.'

const modes = ['webhook structured', 'webhook binary', 'kafka binary', 'kafka structured'] as const
export type Mode = (typeof modes)[number]

export interface Size {
  readonly modes: readonly Mode[]
  readonly objects: number
  /** In each round. One round more comes before them and is not measured. */
  readonly updates: number
  readonly rounds: number
  readonly seed: number
}

const size: Size = { modes, objects: 1_000, updates: 5_000, rounds: 5, seed: 1 }

/** Medians of the rounds. */
export interface Row {
  readonly mode: Mode
  readonly bridge: Speed
  readonly bare: Speed
  /** The bridge's by the bare loop's. */
  readonly ratio: Speed
}

export interface Speed {
  readonly eventsPerSecond: number
  /** CPU time of the process for one event, in microseconds. */
  readonly cpuMicros: number
}

/** Rejects if the bridge loses, repeats or disorders events, or if the two do not send the same. */
export async function measure(size: Size, profile?: string): Promise<readonly Row[]> {
  await using kafka = await startKafka()
  const events = await record(size)
  const rows: Row[] = []
  for (const mode of size.modes) rows.push(await measureMode({ ...size, mode, kafka, events, profile }))
  return rows
}

export async function run(profile?: string): Promise<Report> {
  const rows = await measure(size, profile)
  const cells = ({ eventsPerSecond, cpuMicros }: Speed) => [eventsPerSecond.toFixed(0), `${cpuMicros.toFixed(0)} us`]
  return {
    result: { size, rows },
    columns: ['', 'events/s', 'CPU/event', 'bare: events/s', 'CPU/event', 'ratio: events/s', 'CPU/event'],
    rows: rows.map(({ mode, bridge, bare, ratio }) => [
      mode,
      ...cells(bridge),
      ...cells(bare),
      ratio.eventsPerSecond.toFixed(2),
      ratio.cpuMicros.toFixed(2),
    ]),
  }
}

/** By round, what the bridge makes of it, in the order of the frames: what the bare loop is to send. */
async function record({ objects, updates, rounds, seed }: Size): Promise<readonly (readonly string[])[]> {
  await using bridge = await BridgeSide.start({ pods: { objects, seed }, sink: (url) => ({ ...local, url }) })
  const recorded: string[][] = []
  for (let round = 0; round <= rounds; round++) {
    const { events } = await bridge.run({ first: round * updates, updates, delayMs: 0, await: 'events' })
    const inOrder = events.toSorted((a, b) => versionOf(a.id) - versionOf(b.id))
    recorded.push(inOrder.map(({ body }) => body))
  }
  return recorded
}

interface ModeOptions extends Size {
  readonly mode: Mode
  readonly kafka: TestKafka
  readonly events: readonly (readonly string[])[]
  readonly profile: string | undefined
}

async function measureMode({
  mode,
  kafka,
  events,
  objects,
  updates,
  rounds,
  seed,
  profile,
}: ModeOptions): Promise<Row> {
  const pods = { objects, seed }
  const { sink, target, arrival } = await placeOf(mode, kafka)
  await using bridge = await BridgeSide.start({ pods, sink, profile })
  await using bare = await BareSide.start(pods, target)
  const speeds: { readonly bridge: Speed; readonly bare: Speed }[] = []
  for (const [round, texts] of events.entries()) {
    const run = { first: round * updates, updates, delayMs: 0, await: arrival.awaited } as const
    const cpuBefore = await bridge.cpuMs()
    const ours = await bridge.run(run)
    const durationMs = await arrival.durationMs(ours, (round + 1) * updates)
    const cpuMs = (await bridge.cpuMs()) - cpuBefore
    const theirs = await bare.run(run, texts)
    if (round === 0) await arrival.compare(ours, theirs)
    else
      speeds.push({
        bridge: speedOf(updates, durationMs, cpuMs),
        bare: speedOf(updates, theirs.bare.durationMs, theirs.bare.cpuMs),
      })
  }
  if (speeds.length !== rounds) throw new Error(`${speeds.length} rounds were measured, not ${rounds}`)
  const middle = (of: (speed: (typeof speeds)[number]) => number) => median(speeds.map(of))
  return {
    mode,
    bridge: {
      eventsPerSecond: middle(({ bridge: { eventsPerSecond } }) => eventsPerSecond),
      cpuMicros: middle(({ bridge: { cpuMicros } }) => cpuMicros),
    },
    bare: {
      eventsPerSecond: middle(({ bare: { eventsPerSecond } }) => eventsPerSecond),
      cpuMicros: middle(({ bare: { cpuMicros } }) => cpuMicros),
    },
    ratio: {
      eventsPerSecond: middle((speed) => speed.bridge.eventsPerSecond / speed.bare.eventsPerSecond),
      cpuMicros: middle((speed) => speed.bridge.cpuMicros / speed.bare.cpuMicros),
    },
  }
}

/** Where events of a mode go, and how it is known that they are there. */
interface Place {
  readonly sink: (receiver: string) => object
  readonly target: (receiver: string) => BareTarget
  readonly arrival: {
    readonly awaited: 'events' | 'nothing'
    /** Of the bridge's run, after which `total` events are there. */
    durationMs(run: RunResult, total: number): number | Promise<number>
    /** Rejects if the first runs of the two did not send the same. */
    compare(bridge: RunResult, bare: RunResult): void | Promise<void>
  }
}

/** As the sinks are by default. */
const WEBHOOK_CONCURRENCY = 64

async function placeOf(mode: Mode, kafka: TestKafka): Promise<Place> {
  const how = mode.endsWith('binary') ? 'binary' : 'structured'
  if (mode.startsWith('webhook')) {
    return {
      sink: (url) => ({ ...local, url, mode: how }),
      target: (url) => ({ type: 'webhook', mode: how, url, concurrency: WEBHOOK_CONCURRENCY }),
      arrival: {
        awaited: 'events',
        durationMs: ({ durationMs }) => durationMs,
        compare: (bridge, bare) => assertSame(mode, bridge.events, bare.events),
      },
    }
  }
  const topics = { bridge: `bridge-${how}`, bare: `bare-${how}` }
  for (const topic of Object.values(topics)) await kafka.createTopic(topic, { partitions: PARTITIONS })
  return {
    sink: () => ({ type: 'kafka', brokers: [kafka.bootstrap], topic: topics.bridge, mode: how }),
    target: () => ({ type: 'kafka', mode: how, bootstrap: kafka.bootstrap, topic: topics.bare }),
    arrival: {
      awaited: 'nothing',
      async durationMs({ begunAt }, total) {
        using connection = await KafkaConnection.open(kafka.bootstrap)
        const isThere = async () => (await countOf(connection, topics.bridge)) >= total
        await eventually(isThere, { what: `${total} records are in ${topics.bridge}`, withinMs: 120_000 })
        return Date.now() - begunAt
      },
      async compare() {
        const [bridge, bare] = [await kafka.consoleConsumer(topics.bridge), await kafka.consoleConsumer(topics.bare)]
        const idOf = (headers: Readonly<Record<string, string | null>>, value: string | null) =>
          headers.ce_id ?? String((JSON.parse(value ?? '{}') as { readonly id?: string }).id)
        const events = (records: typeof bridge) =>
          records.map(({ key, headers, value }) => ({ id: idOf(headers, value), key, headers, value }))
        assertSame(mode, events(bridge), events(bare))
      },
    },
  }
}

const PARTITIONS = 6

async function countOf(connection: KafkaConnection, topic: string): Promise<number> {
  let sum = 0
  for (let partition = 0; partition < PARTITIONS; partition++) sum += await connection.endOffset(topic, partition)
  return sum
}

interface Identified {
  readonly id: string
}

function assertSame(mode: Mode, bridge: readonly Identified[], bare: readonly Identified[]): void {
  const byId = new Map(bridge.map((event) => [event.id, event]))
  const different = bare.find((event) => !isDeepStrictEqual(event, byId.get(event.id)))
  if (bridge.length === bare.length && byId.size === bridge.length && !different) return
  const example = different && ` ${JSON.stringify(different)} is not ${JSON.stringify(byId.get(different.id))}`
  throw new Error(`${mode}: the bridge sent ${bridge.length} events, the bare loop ${bare.length} others;${example}`)
}

function speedOf(events: number, durationMs: number, cpuMs: number): Speed {
  return { eventsPerSecond: (events * 1000) / durationMs, cpuMicros: (cpuMs * 1000) / events }
}

/** Of the id `<uid>:<resourceVersion>`: the order of the frames. */
function versionOf(id: string): number {
  return Number(id.split(':')[1])
}
