/** The real components that tests run on: which version of what, and how a machine without it gets it. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildah } from './buildah.ts'
import type { Component } from './component.ts'
import { coredns } from './coredns.ts'
import { eventRuler } from './event-ruler.ts'
import { GO, go } from './go.ts'
import { helm3, helm4 } from './helm.ts'
import { kafka } from './kafka.ts'
import { kubeApiserver, kubernetesNode } from './kubernetes-components.ts'
import { moto } from './moto.ts'
import { nodeSystem } from './node-components.ts'

const run = promisify(execFile)

const PYTHON = { python3: 'Python 3.10 or newer with pip, from the packages python3 and python3-pip' }

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

export const components: readonly Component[] = [
  etcd,
  kubeApiserver,
  kubernetesNode,
  coredns,
  nodeSystem,
  buildah,
  cloudeventsPython,
  moto,
  eventRuler,
  kafka,
  helm3,
  helm4,
]
