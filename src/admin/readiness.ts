/** What `/readyz` says: ready, and one line per thing that this depends on. */
export interface Readiness {
  readonly ok: boolean
  readonly checks: readonly ReadinessCheck[]
}

export interface ReadinessCheck {
  /** `stream workloads/pods`, `sink audit`. */
  readonly name: string
  /** It does not stand in the way of ready. */
  readonly ok: boolean
  /** It does not do its work at the moment, whether that makes anybody unready or not. */
  readonly degraded: boolean
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
    ...streams.map(({ name, synced, degraded }) => ({
      name: `stream ${name}`,
      ok: synced,
      degraded: !synced || degraded !== undefined,
      detail: detailOf(synced ? 'synced' : 'not synced yet', degraded),
    })),
    ...sinks.map(({ name, required, reached, degraded }) => ({
      name: `sink ${name}`,
      ok: reached === 'connected' || !required,
      degraded: reached !== 'connected' || degraded !== undefined,
      detail: detailOf(reached, degraded),
    })),
  ]
  return { ok: checks.every(({ ok }) => ok), checks }
}

/** A line for each: `[+]` it works, `[!]` it does not, which makes nobody unready, `[-]` ready waits for it. */
export function linesOf({ checks }: Readiness): string {
  return checks.map(({ name, ok, degraded, detail }) => `[${markOf(ok, degraded)}] ${name}: ${detail}\n`).join('')
}

const detailOf = (state: string, degraded: string | undefined) =>
  degraded === undefined ? state : `${state}, degraded: ${degraded}`

function markOf(ok: boolean, degraded: boolean): string {
  if (!ok) return '-'
  return degraded ? '!' : '+'
}
