import { linesOf, type Readiness } from '../admin/readiness.ts'
import { sleep, withTimeout } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { ExitCode } from './exit-code.ts'

export interface StatusOptions {
  /** Of the probes, without a path: `http://127.0.0.1:8080`, or `tcp://10.96.0.7:8080`, as pods are told of a Service. */
  readonly url: string
  /** Milliseconds that it may take to become ready. 0: it is asked once. */
  readonly waitMs: number
  readonly clock: Clock
  readonly stdout: Output
  readonly stderr: Output
  readonly signal: AbortSignal
}

interface Output {
  write(text: string): unknown
}

type Answer =
  | { readonly type: 'Answered'; readonly readiness: Readiness; readonly version: string }
  | { readonly type: 'Failed'; readonly why: string }

const ASK_EVERY_MS = 1_000
const TIMEOUT_MS = 5_000

/**
 * `deltawire status`: done if the bridge at this URL is ready and its metrics are served. What each stream and sink is
 * at goes to standard output, why there is no answer to standard error. It needs no shell, so it works where only the
 * image is: `kubectl exec deploy/deltawire -- deltawire status`, and the test of the Helm chart.
 */
export async function status({ url, waitMs, clock, stdout, stderr, signal }: StatusOptions): Promise<ExitCode> {
  const base = URL.parse(url.replace(/^tcp:/, 'http:'))
  if (!base?.protocol.startsWith('http')) {
    stderr.write('--url: not an absolute URL such as http://127.0.0.1:8080\n')
    return ExitCode.usage
  }
  const end = clock.monotonic() + waitMs
  for (;;) {
    const answer = await ask(base, clock, signal)
    const isReady = answer.type === 'Answered' && answer.readiness.ok
    if (isReady || clock.monotonic() >= end) {
      if (answer.type === 'Failed') stderr.write(`${base.origin}: ${answer.why}\n`)
      else stdout.write(described(answer.readiness, answer.version))
      return isReady ? ExitCode.done : ExitCode.failed
    }
    await sleep(Math.min(ASK_EVERY_MS, end - clock.monotonic()), clock, signal)
  }
}

async function ask(base: URL, clock: Clock, signal: AbortSignal): Promise<Answer> {
  try {
    return await withTimeout(TIMEOUT_MS, clock, signal, async (signal) => {
      const readyz = await fetch(new URL('/readyz', base), { headers: { accept: 'application/json' }, signal })
      const text = await readyz.text()
      const metrics = await fetch(new URL('/metrics', base), { signal })
      const [, version] = /^deltawire_build_info\{version="([^"]+)"/m.exec(await metrics.text()) ?? []
      if (version === undefined) return { type: 'Failed', why: `/metrics (${metrics.status}) is not that of Deltawire` }
      return { type: 'Answered', readiness: JSON.parse(text) as Readiness, version } // it has just said who it is
    })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    return {
      type: 'Failed',
      why: `no answer (${reasonOf(error)}): is the bridge running, and is http.listen this port?`,
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause = error } = error // of fetch: what the connection said
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
}

function described(readiness: Readiness, version: string): string {
  return `${linesOf(readiness)}Deltawire ${version} is ${readiness.ok ? 'ready' : 'not ready'}\n`
}
