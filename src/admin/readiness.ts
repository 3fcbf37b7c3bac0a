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

/** What is known of a sink. Once `connected` it stays so. */
export type Reached =
  | 'not connected yet'
  /** The connection is there, and whatever was sent so far was refused. */
  | 'connected, but has taken nothing yet'
  | 'connected'

export interface SinkStatus {
  readonly name: string
  readonly required: boolean
  readonly reached: Reached
  readonly degraded?: string | undefined
}

/**
 * Ready: every stream has synced once, and every required sink was reached once, and has not refused everything since. Later
 * troubles are listed and change nothing: a pod that is taken out of service heals neither an API server nor a sink.
 */
export function readinessOf(streams: readonly StreamStatus[], sinks: readonly SinkStatus[]): Readiness {
  const checks = [
    ...streams.map(({ name, synced, degraded }) =>
      check(`stream ${name}`, synced, synced ? 'synced' : 'not synced yet', degraded),
    ),
    ...sinks.map(({ name, required, reached, degraded }) =>
      check(`sink ${name}`, reached === 'connected' || !required, reached, degraded),
    ),
  ]
  return { ok: checks.every(({ ok }) => ok), checks }
}

function check(name: string, ok: boolean, state: string, degraded: string | undefined): ReadinessCheck {
  return { name, ok, detail: degraded === undefined ? state : `${state}, degraded: ${degraded}` }
}
