import { sleep } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { ScenarioCluster } from './scenario-cluster.ts'
import type { Simulator } from './simulator.ts'

export interface ScenarioOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called with one line as each step begins, for example `rollout: shop/web to 1.1.0`. */
  narrate(line: string): void
}

/** Pause between two steps, in ms. */
const STEP_MS = 400

/**
 * A live cluster: a rollout, a crash loop, a change of configuration, custom objects, a scale-down, and a forced relist,
 * over and over; the first round takes less than ten seconds. Resolves when the signal aborts, never before.
 */
export async function playScenario(simulator: Simulator, options: ScenarioOptions): Promise<void> {
  const { signal } = options
  const cluster = new ScenarioCluster(simulator, options.clock, signal)
  try {
    cluster.setUp()
    for (let round = 1; ; round++) await playRound(cluster, round, options)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function playRound(
  cluster: ScenarioCluster,
  round: number,
  { narrate, clock, signal }: ScenarioOptions,
): Promise<void> {
  const pause = () => sleep(STEP_MS, clock, signal)
  await pause()
  narrate(`rollout: shop/web to 1.${round}.0, pod by pod`)
  await cluster.rollOut('web', `registry.example.com/web:1.${round}.0`)
  await pause()
  narrate('crash loop: a payments/worker container exits with code 1 and is restarted')
  await cluster.crash('worker', 2)
  await pause()
  narrate(`configuration: shop/web-config changes to revision ${round}`)
  cluster.configure(round)
  await pause()
  narrate(`custom resource: widget shop/gizmo-${round} is created, grows, and the one before goes`)
  await cluster.playWidgets(round)
  await pause()
  narrate('scale-down: shop/web from 3 to 1, pods are deleted')
  await cluster.scale('web', 1)
  await pause()
  narrate('forced relist: the server drops its history; a pod vanishes while nobody watches')
  await cluster.forceRelist('worker')
  await pause()
  narrate('scale-up: shop/web back to 3')
  await cluster.scale('web', 3)
  await pause()
  narrate('recovery: the payments/worker crash loop ends, its pods are back to 2')
  await cluster.scale('worker', 2)
}
