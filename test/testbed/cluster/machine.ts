/** Whether a cluster can run on this machine, and that there is one at a time. */
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { eventually } from '../../support/eventually.ts'

/** Throws, naming everything that is missing and the way out, if a cluster cannot run here. */
export function requireAbility(): void {
  const missing = lacks()
  if (missing.length === 0) return
  throw new Error(`A cluster cannot run on this machine:\n${missing.map((line) => `- ${line}`).join('\n')}`)
}

function lacks(): readonly string[] {
  if (process.platform !== 'linux') return [`it takes Linux, and this is ${process.platform}: use a virtual machine`]
  const found: string[] = []
  if (process.geteuid?.() !== 0) found.push('it takes root, for namespaces and mounts: run it with sudo')
  if (!/\boverlay\b/.test(readFileSync('/proc/filesystems', 'utf8')))
    found.push('the kernel has no overlayfs: `modprobe overlay`')
  if (!existsSync('/proc/sys/net/bridge')) found.push('the kernel has no br_netfilter: `modprobe br_netfilter`')
  if (!existsSync('/sys/fs/cgroup')) found.push('no cgroups are mounted at /sys/fs/cgroup')
  return found
}

export type Hold = Disposable

/** What the machine's network namespace has once, by name. The kernel lets go of it when its process ends. */
const HOLD = '\0deltawire-cluster'

/** Waits until no other cluster runs on this machine; then none can, until this one is let go of. */
export async function holdMachine(): Promise<Hold> {
  let told = false
  return await eventually(
    async () => {
      const server = createServer().unref()
      const held = once(server, 'listening').then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EADDRINUSE') return false
          throw error
        },
      )
      server.listen(HOLD)
      if (await held) return { [Symbol.dispose]: () => void server.close() }
      if (!told) process.stderr.write('Another cluster runs on this machine: waiting for its end ...\n')
      told = true
      return undefined
    },
    { withinMs: 30 * 60_000, what: 'the other cluster on this machine has ended' },
  )
}
