/** The real components that tests run on: which version of what, and how a machine without it gets it. */
import { execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Component } from './component.ts'

const run = promisify(execFile)

const GO = { go: 'Go 1.26 or newer, from go.dev or the package golang' }
const PYTHON = { python3: 'Python 3.10 or newer with pip, from the packages python3 and python3-pip' }

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
    await go(folder, 'build', '-mod=mod', '-buildvcs=false', '-ldflags=-s -w', '-o', 'etcd', '.')
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
    await go(folder, 'build', '-mod=mod', '-buildvcs=false', `-ldflags=-s -w ${flags}`, '-o', 'kube-apiserver', target)
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

async function go(cwd: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, GOWORK: 'off' }
  const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000)
  })
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) throw new Error(`go ${args[0]} failed in ${cwd}: ${said}`)
}
