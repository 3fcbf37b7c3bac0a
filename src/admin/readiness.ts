/** What `/readyz` says: ready, and one line per thing that this depends on. */
export interface Readiness {
  readonly ok: boolean
  readonly checks: readonly ReadinessCheck[]
}

export interface ReadinessCheck {
  /** `stream workloads/pods`, `sink audit`. */
  readonly name: string
  readonly ok: boolean
  /** Why, in words; no credential, no query of a URL. */
  readonly detail: string
}

export interface StreamStatus {
  readonly name: string
  /** Whether it has read all of its objects once. It never becomes false again. */
  readonly synced: boolean
  /** Why it does not move on at the moment: `403 pods is forbidden`. */
  readonly degraded?: string | undefined
}

export interface SinkStatus {
  readonly name: string
  readonly required: boolean
  /** Whether it was reached once. */
  readonly connected: boolean
  readonly degraded?: string | undefined
}

/**
 * Ready: every stream has synced once, and every required sink was reached once. Later troubles are listed and change
 * nothing: a pod that is taken out of service heals neither an API server nor a sink.
 */
export function readinessOf(streams: readonly StreamStatus[], sinks: readonly SinkStatus[]): Readiness {
  const checks = [
    ...streams.map(({ name, synced, degraded }) =>
      check(`stream ${name}`, synced, synced ? 'synced' : 'not synced yet', degraded),
    ),
    ...sinks.map(({ name, required, connected, degraded }) =>
      check(`sink ${name}`, connected || !required, connected ? 'connected' : 'not connected yet', degraded),
    ),
  ]
  return { ok: checks.every(({ ok }) => ok), checks }
}

function check(name: string, ok: boolean, state: string, degraded: string | undefined): ReadinessCheck {
  return { name, ok, detail: degraded === undefined ? state : `${state}, degraded: ${degraded}` }
}
