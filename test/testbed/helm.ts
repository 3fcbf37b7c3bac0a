/** Both Helm versions that people have: 3 merges on the client, 4 applies on the server. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Component } from './component.ts'
import { GO } from './go.ts'

const run = promisify(execFile)

export const helm3 = helm('3.21.4')
export const helm4 = helm('4.3.1')

function helm(version: string): Component {
  const [major] = version.split('.')
  const module = `helm.sh/helm/v${major}`
  return {
    name: `helm${major}`,
    version,
    file: 'helm',
    needs: GO,
    async install(folder) {
      // what a release says of itself, and which Kubernetes Helm 3 renders for where it asks none
      const said = [`${module}/internal/version.version=v${version}`, `${module}/pkg/chartutil.k8sVersionMinor=36`]
      const flags = `-ldflags=-s -w ${said.map((text) => `-X ${text}`).join(' ')}`
      const env = { ...process.env, GOWORK: 'off', GOBIN: folder }
      await run('go', ['install', flags, `${module}/cmd/helm@v${version}`], { cwd: folder, env })
    },
    async ask(file) {
      const { stdout } = await run(file, ['version', '--template={{ .Version }}'])
      return stdout.trim().replace('v', '')
    },
  }
}
