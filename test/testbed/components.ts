/**
 * The real components that tests run on, each built or installed once per machine into the user's cache folder, under
 * its name and version. Two runs may race: what is made is made beside its place and renamed.
 */
import { execFile, spawn } from 'node:child_process'
import { access, appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Component {
  readonly name: string
  readonly version: string
  /** The file that is there when it is installed, relative to its folder. */
  readonly file: string
  /** Programs that the machine must have to install it, and how to get them. */
  readonly needs: Readonly<Record<string, string>>
  /** Fills the empty folder. */
  install(folder: string): Promise<void>
  /** What the installed thing says of its own version. */
  ask(file: string): Promise<string>
}

const GO = { go: 'Go 1.26 or newer, from go.dev or the package golang' }
const PYTHON = { python3: 'Python 3.11 or newer with pip, from the packages python3 and python3-pip' }

const KUBERNETES = '1.36.2'
const ETCD = '3.6.16'
const CLOUDEVENTS = '2.2.0'

export const etcd: Component = {
  name: 'etcd',
  version: ETCD,
  file: 'etcd',
  needs: GO,
  async install(folder) {
    const main = [
      'package main',
      'import ("os"; "go.etcd.io/etcd/server/v3/etcdmain")',
      'func main() { etcdmain.Main(os.Args) }',
    ]
    await writeFile(join(folder, 'go.mod'), 'module testbed\n\ngo 1.26\n')
    await writeFile(join(folder, 'main.go'), `${main.join('\n')}\n`)
    await go(folder, 'mod', 'edit', `-require=go.etcd.io/etcd/server/v3@v${ETCD}`)
    await go(folder, 'build', '-mod=mod', '-ldflags=-s -w', '-o', 'etcd', '.')
  },
  async ask(file) {
    const { stdout } = await run(file, ['--version'])
    return stdout.split('\n')[0]?.replace('etcd Version: ', '') ?? ''
  },
}

export const kubeApiserver: Component = {
  name: 'kube-apiserver',
  version: KUBERNETES,
  file: 'kube-apiserver',
  needs: GO,
  async install(folder) {
    const [major, minor, patch] = KUBERNETES.split('.')
    await writeFile(join(folder, 'go.mod'), 'module testbed\n\ngo 1.26\n')
    const { stdout } = await run('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${KUBERNETES}`], {
      cwd: folder,
    })
    const { GoMod } = JSON.parse(stdout) as { readonly GoMod: string }
    const { stdout: graph } = await run('go', ['mod', 'edit', '-json', GoMod])
    const { Replace } = JSON.parse(graph) as {
      readonly Replace: readonly { readonly Old: { readonly Path: string } }[]
    }
    // kubernetes takes its staging modules from its own tree; published, they have versions of their own
    const replaced = Replace.map(({ Old }) => `-replace=${Old.Path}=${Old.Path}@v0.${minor}.${patch}`)
    await go(folder, 'mod', 'edit', `-require=k8s.io/kubernetes@v${KUBERNETES}`, ...replaced)
    const version = 'k8s.io/component-base/version'
    const flags = `-X ${version}.gitVersion=v${KUBERNETES} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`
    const target = 'k8s.io/kubernetes/cmd/kube-apiserver'
    await go(folder, 'build', '-mod=mod', `-ldflags=-s -w ${flags}`, '-o', 'kube-apiserver', target)
  },
  async ask(file) {
    const { stdout } = await run(file, ['--version'])
    return stdout.trim().replace('Kubernetes v', '')
  },
}

/** The CloudEvents SDK for Python: an independent decoder. A folder for PYTHONPATH. */
export const cloudeventsPython: Component = {
  name: 'cloudevents-python',
  version: CLOUDEVENTS,
  file: '.',
  needs: PYTHON,
  async install(folder) {
    const packages = [
      `cloudevents==${CLOUDEVENTS}`,
      'python-dateutil==2.9.0.post0',
      'six==1.17.0',
      'deprecation==2.1.0',
      'packaging==25.0',
    ]
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--root-user-action=ignore']
    await run('python3', ['-m', 'pip', 'install', ...options, '--target', folder, ...packages])
  },
  async ask(folder) {
    const code = 'import importlib.metadata as m; print(m.version("cloudevents"))'
    const { stdout } = await run('python3', ['-c', code], { env: { ...process.env, PYTHONPATH: folder } })
    return stdout.trim()
  },
}

export const components: readonly Component[] = [etcd, kubeApiserver, cloudeventsPython]

/** Where it is installed: `~/.cache/deltawire/etcd-3.6.16`. */
function folderOf({ name, version }: Component): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(cache, 'deltawire', `${name}-${version}`)
}

/** The file to run or import, whether it is there or not. */
export function fileOf(component: Component): string {
  return join(folderOf(component), component.file)
}

/**
 * Path of the installed component's file; installs it first if it is not there. Rejects, naming what is missing and how
 * to get it, when the machine cannot. Notes for the report of the test run that it really was used.
 */
export async function use(component: Component): Promise<string> {
  const file = fileOf(component)
  await install(component)
  const report = process.env.DELTAWIRE_TEST_REPORT
  if (report) await appendFile(report, `${component.name}\n`)
  return file
}

/** Installs it if it is not there. */
export async function install(component: Component): Promise<void> {
  const { name, version, needs } = component
  const folder = folderOf(component)
  if (await exists(join(folder, component.file))) return
  for (const [program, how] of Object.entries(needs)) {
    await run('which', [program]).catch(() => {
      throw new Error(`${name} ${version} cannot be installed: this machine has no ${program}. It takes ${how}.`)
    })
  }
  await mkdir(dirname(folder), { recursive: true })
  const temporary = await mkdtemp(`${folder}.making-`)
  const started = Date.now()
  process.stderr.write(`Installing ${name} ${version} (once, into ${folder}) ...\n`)
  try {
    await component.install(temporary)
    await rename(temporary, folder).catch((error) => raced(error, folder))
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  process.stderr.write(`Installed ${name} ${version} in ${Math.round((Date.now() - started) / 1000)} s\n`)
}

async function raced(error: unknown, folder: string): Promise<void> {
  if (!(await exists(folder))) throw error
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

async function go(cwd: string, ...args: readonly string[]): Promise<void> {
  const child = spawn('go', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000)
  })
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) throw new Error(`go ${args[0]} failed in ${cwd}: ${said}`)
}
