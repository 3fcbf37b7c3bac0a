/**
 * Ends the processes of a test run that cannot do it any more. Runs as a process of its own: when its standard input
 * closes, because its parent let go of it or was killed, it kills what it was told of and removes the folder.
 *
 *   stdin:  + PID | - PID      argument: folder
 */
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

const pids = new Set<number>()
// Ctrl-C goes to the whole group: whoever is asked to end ends first and closes the pipe
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const pid = Number(line.slice(2))
  if (line.startsWith('+')) pids.add(pid)
  else pids.delete(pid)
})
lines.on('close', () => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended by itself
    }
  }
  const [, , folder] = process.argv
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
})
