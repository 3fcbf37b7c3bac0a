#!/usr/bin/env node
/** The edge of the process: arguments, environment, signals, exit code. Nothing else touches `process`. */
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // the first one drains, a second one does not wait
    if (stop.signal.aborted) process.exit(1)
    stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
  })
}
// a reader that went away (`| head`) is told by the write that fails
process.stderr.on('error', () => {})

// loaded only now: a signal that comes meanwhile finds its handler
const { main } = await import('./cli/index.ts')
process.exitCode = await main({
  args: process.argv.slice(2),
  node: process.versions.node,
  env: process.env,
  stdin: () => process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
})
leaveSoon()

/** What a sink left open, that is not one of ours, does not keep the process; a reader of the output that is slow does. */
function leaveSoon(): void {
  setTimeout(() => {
    if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit()
    leaveSoon()
  }, 2_000).unref()
}
