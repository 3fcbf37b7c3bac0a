import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Component } from './component.ts'
import { GO, go } from './go.ts'

const run = promisify(execFile)
const VERSION = '1.15.0'

/** The plug-ins that a cluster's own names take. All that it could have would take minutes more to build. */
const main = `package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	dnsserver.Directives = []string{"errors", "kubernetes"}
	coremain.Run()
}
`

export const coredns: Component = {
  name: 'coredns',
  version: VERSION,
  file: 'coredns',
  needs: GO,
  async install(folder) {
    await writeFile(join(folder, 'go.mod'), 'module testbed\n\ngo 1.26\n')
    await writeFile(join(folder, 'main.go'), main)
    await go(folder, 'mod', 'edit', `-require=github.com/coredns/coredns@v${VERSION}`)
    await go(folder, 'build', '-mod=mod', '-buildvcs=false', '-ldflags=-s -w', '-o', 'coredns', '.')
  },
  async ask(file) {
    const { stdout } = await run(file, ['-version'])
    return stdout.split('\n')[0]?.replace('CoreDNS-', '') ?? ''
  },
}
