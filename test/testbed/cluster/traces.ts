/** What a cluster could leave on a machine, to compare before and after. */
import { execFile } from 'node:child_process'
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../component.ts'

const run = promisify(execFile)

export interface Traces {
  /**
   * What a cluster has of the machine while it runs: interface, cgroups, folder. Each with what tells it from that of
   * another cluster, which may be there before and after.
   */
  readonly own: readonly string[]
  /** What no cluster may change, at any time. */
  readonly machine: {
    readonly interfaces: readonly string[]
    /** Rules and chains, as iptables-save and ip6tables-save print them. */
    readonly rules: readonly string[]
    /** Those of containers. */
    readonly mounts: readonly string[]
    readonly cgroups: readonly string[]
    readonly networkNamespaces: readonly string[]
    /** Kernel settings that a kubelet, kube-proxy or bridge changes. */
    readonly settings: Readonly<Record<string, string>>
    /** Folders that Kubernetes and containerd usually have. */
    readonly folders: readonly string[]
  }
}

const SETTINGS = [
  'net/ipv4/ip_forward',
  'net/bridge/bridge-nf-call-iptables',
  'net/netfilter/nf_conntrack_max',
  'net/ipv4/conf/all/route_localnet',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
]
const FOLDERS = ['/var/lib/kubelet', '/var/lib/containerd', '/var/lib/cni', '/var/log/pods', '/run/containerd']
const INTERFACE = '/sys/class/net/deltawire'

/** `system` is the folder of the component node-system: its iptables also works where the machine has none. */
export async function tracesOn(system: string): Promise<Traces> {
  const state = join(cacheFolder(), 'cluster')
  const mounts = lines(readFileSync('/proc/mounts', 'utf8'))
  return {
    own: [INTERFACE, state, ...globSync('/sys/fs/cgroup/{,*/}deltawire')].flatMap(identity),
    machine: {
      interfaces: readdirSync('/sys/class/net').filter((name) => name !== basename(INTERFACE)),
      rules: await rules(system),
      mounts: mounts.filter((line) => line.includes('kubelet') || line.includes('containerd') || line.includes(state)),
      cgroups: globSync('/sys/fs/cgroup/{,*/}kubepods'),
      networkNamespaces: existsSync('/run/netns') ? readdirSync('/run/netns') : [],
      settings: Object.fromEntries(SETTINGS.map((name) => [name, setting(name)])),
      folders: FOLDERS.filter((folder) => existsSync(folder)),
    },
  }
}

/** The path, and which one of those that were there one after the other it is; nothing if none is there. */
function identity(path: string): readonly string[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return []
  // a file system on disk gives a number again; those of the kernel do not, and have no time of birth
  return [path.startsWith('/sys/') ? `${path} ${found.ino}` : `${path} ${found.ino} ${found.birthtimeMs}`]
}

async function rules(system: string): Promise<readonly string[]> {
  const saved: string[] = []
  for (const program of ['iptables-save', 'ip6tables-save']) {
    const { stdout } = await run('chroot', [system, program], { env: { PATH: '/usr/sbin:/usr/bin' } })
    // without the time and the counters of packets
    saved.push(...lines(stdout.replaceAll(/\[\d+:\d+\]/g, '')).filter((line) => !line.startsWith('#')))
  }
  return saved
}

function setting(name: string): string {
  const file = `/proc/sys/${name}`
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : 'none'
}

/** A running process; a pid alone may be somebody else's by now. */
export interface Process {
  readonly pid: number
  readonly startedAt: string
  /** `/opt/kubernetes/kubelet` */
  readonly file: string
}

/** Every process that descends from this one. */
export function descendants(pid: number): readonly Process[] {
  const parents = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? fields(Number(name))?.[1] : undefined
    if (parent !== undefined) parents.set(Number(parent), [...(parents.get(Number(parent)) ?? []), Number(name)])
  }
  const found: number[] = [...(parents.get(pid) ?? [])]
  for (const child of found) found.push(...(parents.get(child) ?? []))
  return found.flatMap((child) => {
    const startedAt = fields(child)?.[19]
    const file = fileOf(child)
    return startedAt === undefined || file === undefined ? [] : [{ pid: child, startedAt, file }]
  })
}

/** Whether it runs still. One that has ended and that nobody has asked about does not. */
export function isRunning({ pid, startedAt }: Process): boolean {
  return fields(pid)?.[19] === startedAt && fileOf(pid) !== undefined
}

/** Of /proc/PID/stat, from the state on, which follows the name in brackets. */
function fields(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined // it has ended
  }
}

function fileOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined // it has ended
  }
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}
