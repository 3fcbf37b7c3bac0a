/** Whether a cluster can run on this machine, and that there is one at a time. */
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter } from 'node:path'
import { eventually } from '../../support/eventually.ts'

/** What a cluster asks of a machine. */
export interface Machine {
  /** As Node spells it: `linux`, `darwin`. */
  readonly platform: string
  readonly user: number | undefined
  /** Programs that it has. */
  readonly programs: readonly string[]
  /** Of its kernel: what there is to mount, whether bridges pass through iptables, whether there are cgroups. */
  readonly filesystems: string
  readonly bridgeFilter: boolean
  readonly cgroups: boolean
}

/** Throws, naming everything that is missing and the way out, if a cluster cannot run on the machine. */
export function requireAbility(machine: Machine = thisMachine()): void {
  const missing = lacks(machine)
  if (missing.length > 0) throw new Error(`A cluster cannot run on this machine:\n${missing.join('\n')}`)
}

function lacks(machine: Machine): readonly string[] {
  const { platform, user, programs, filesystems, bridgeFilter, cgroups } = machine
  if (platform !== 'linux') return [`- it takes Linux, and this is ${platform}: use a virtual machine`]
  const found: string[] = []
  if (user !== 0) found.push('- it takes root, for namespaces and mounts: use sudo')
  for (const program of ['unshare', 'nsenter'])
    if (!programs.includes(program)) found.push(`- there is no ${program}: it is in the package util-linux`)
  if (!/\boverlay\b/.test(filesystems)) found.push('- the kernel has no overlayfs: `modprobe overlay`')
  if (!bridgeFilter) found.push('- the kernel does not show bridges to iptables: `modprobe br_netfilter`')
  if (!cgroups) found.push('- there are no cgroups at /sys/fs/cgroup: mount them')
  return found
}

function thisMachine(): Machine {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => existsSync(folder))
  const list = '/proc/filesystems'
  return {
    platform: process.platform,
    user: process.geteuid?.(),
    programs: folders.flatMap((folder) => readdirSync(folder)),
    filesystems: existsSync(list) ? readFileSync(list, 'utf8') : '',
    bridgeFilter: existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables'),
    cgroups: existsSync('/sys/fs/cgroup'),
  }
}

export type Hold = Disposable

/** What the machine's network namespace has once, by name. The kernel lets go of it when its process ends. */
const HOLD = '\0deltawire-cluster'

/** Waits until no other cluster runs on this machine; then none can, until this one is let go of. */
export async function holdMachine(tell: (line: string) => void = (line) => process.stderr.write(line)): Promise<Hold> {
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
      if (!told) tell('Another cluster runs on this machine: waiting for its end ...\n')
      told = true
      return undefined
    },
    { withinMs: 30 * 60_000, what: 'the other cluster on this machine has ended' },
  )
}
