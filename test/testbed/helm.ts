/** Both Helm versions that people have: 3 merges on the client, 4 applies on the server. */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Component } from './component.ts'

const run = promisify(execFile)

export const helm3 = helm('3.21.4')
export const helm4 = helm('4.3.1')

function helm(version: string): Component {
  const major = version.slice(0, version.indexOf('.'))
  return {
    name: `helm${major}`,
    version,
    file: 'helm',
    needs: { go: 'Go 1.26 or newer, from go.dev or the package golang' },
    async install(folder) {
      // the version that a build from source says of itself is set by this flag alone
      const flags = `-ldflags=-s -w -X helm.sh/helm/v${major}/internal/version.version=v${version}`
      const env = { ...process.env, GOWORK: 'off', GOBIN: folder, GOFLAGS: '-mod=mod' }
      await run('go', ['install', flags, `helm.sh/helm/v${major}/cmd/helm@v${version}`], { cwd: folder, env })
      await rm(join(folder, 'go.sum'), { force: true })
    },
    async ask(file) {
      const { stdout } = await run(file, ['version', '--template={{ .Version }}'])
      return stdout.trim().replace('v', '')
    },
  }
}
