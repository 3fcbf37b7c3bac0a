/** The programs of Kubernetes, built from its Go module. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Component } from './component.ts'
import { GO, go } from './go.ts'

const run = promisify(execFile)

const KUBERNETES = '1.36.2'

export const kubeApiserver: Component = {
  name: 'kube-apiserver',
  version: KUBERNETES,
  file: 'kube-apiserver',
  needs: GO,
  install: (folder) => build(folder, ['kube-apiserver']),
  ask: askVersion,
}

/** What makes an API server a cluster with a node, and kubectl. A folder of programs. */
export const kubernetesNode: Component = {
  name: 'kubernetes-node',
  version: KUBERNETES,
  file: '.',
  needs: GO,
  install: (folder) => build(folder, ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl']),
  ask: (folder) => askVersion(join(folder, 'kubelet')),
}

async function build(folder: string, programs: readonly string[]): Promise<void> {
  const [major, minor, patch] = KUBERNETES.split('.')
  await writeFile(join(folder, 'go.mod'), 'module testbed\n\ngo 1.26\n')
  const { stdout } = await run('go', ['mod', 'download', '-json', `k8s.io/kubernetes@v${KUBERNETES}`], { cwd: folder })
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
  const packages = programs.map((program) => `k8s.io/kubernetes/cmd/${program}`)
  await go(folder, 'build', '-mod=mod', '-buildvcs=false', `-ldflags=-s -w ${flags}`, '-o', `${folder}/`, ...packages)
}

async function askVersion(file: string): Promise<string> {
  const { stdout } = await run(file, ['--version'])
  return stdout.trim().replace('Kubernetes v', '')
}
