import { styleText } from 'node:util'
import { Bridge, type BridgeSummary } from '../bridge.ts'
import type { BridgeConfig } from '../config/bridge-config.ts'
import { loadConfig } from '../config/load.ts'
import { ApiClient } from '../kube/api-client.ts'
import { loadKubeConfig } from '../kube/kube-config.ts'
import { sleep } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import { playScenario, Simulator } from '../simulator/index.ts'
import { createLog } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { ExitCode } from './exit-code.ts'
import type { ProcessEdge } from './process-edge.ts'

export interface DemoOptions {
  /** Ends by itself after so many milliseconds. */
  readonly forMs?: number
}

const SUMMARY_EVERY_MS = 2_000

/**
 * `deltawire demo`: the bridge, as it is, on a simulated live cluster. Standard output has the events: a line each on a
 * terminal, NDJSON in a pipe. What happens in the cluster and a running summary are on standard error.
 */
export async function demo({ forMs }: DemoOptions, edge: ProcessEdge): Promise<ExitCode> {
  const { env, stdout, stderr } = edge
  const clock = systemClock
  const end = new AbortController()
  const signal = AbortSignal.any([edge.signal, end.signal])
  using _end = forMs === undefined ? undefined : clock.after(forMs, () => end.abort())
  // whoever read the events has gone (`| head`): there is nobody to show anything to
  stdout.once('error', () => end.abort())
  const say = (line: string) => void stderr.write(`${stderr.isTTY ? styleText('dim', line) : line}\n`)

  await using simulator = await new Simulator({ clock }).start()
  await using api = new ApiClient(loadKubeConfig({ master: simulator.url }), { clock })
  const tally = new Tally(clock.monotonic())
  const bridge = await Bridge.create({
    config: await demoConfig(stdout.isTTY ? 'pretty' : 'ndjson'),
    api,
    metrics: new Metrics({ clock, version: 'demo' }),
    logger: createLog({ level: 'error' }, stderr),
    stdout,
    env,
    clock,
    random: Math.random,
    onSettled: ({ attributes: { type } }, _, latencyMs) => tally.settled(type, latencyMs),
  })

  const narrate = (line: string) => say(`-- ${line}`)
  const playing = playScenario(simulator, { clock, signal, narrate })
  const summing = summarise(() => say(tally.line(clock.monotonic(), bridge.summary())), signal)
  await bridge.run(signal)
  await Promise.all([playing, summing])
  say(tally.total(clock.monotonic()))
  return ExitCode.done
}

async function summarise(say: () => void, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(SUMMARY_EVERY_MS, systemClock, signal)
      say()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function demoConfig(format: 'pretty' | 'ndjson'): Promise<BridgeConfig> {
  const file = new URL('demo.yaml', import.meta.url).pathname
  const config = await loadConfig({ file, env: {} })
  return { ...config, sinks: config.sinks.map((sink) => ({ ...sink, own: { ...sink.own, format } })) }
}

/** Counts what was delivered, in all and since the last line. */
class Tally {
  readonly #started: number
  #since: number
  #events = 0
  #recent = 0
  #slowestMs = 0
  #snapshots = 0

  constructor(now: number) {
    this.#started = now
    this.#since = now
  }

  settled(type: string, latencyMs: number): void {
    this.#events++
    this.#recent++
    this.#slowestMs = Math.max(this.#slowestMs, latencyMs)
    if (type.startsWith('io.deltawire.snapshot.end')) this.#snapshots++
  }

  line(now: number, { streams, sinks }: BridgeSummary): string {
    const rate = (this.#recent / ((now - this.#since) / 1000)).toFixed(0)
    const objects = streams.reduce((sum, stream) => sum + stream.objects, 0)
    const queued = sinks.reduce((sum, sink) => sum + sink.queueEvents, 0)
    const line = `== ${rate} events/s, lag ${this.#slowestMs} ms, ${queued} queued, ${objects} objects in ${streams.length} streams, ${counted(this.#snapshots, 'snapshot')}`
    this.#since = now
    this.#recent = 0
    this.#slowestMs = 0
    return line
  }

  total(now: number): string {
    return `== ${this.#events} events in ${((now - this.#started) / 1000).toFixed(1)} s, ${counted(this.#snapshots, 'snapshot')}. Next: README.md, "Install it"`
  }
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
