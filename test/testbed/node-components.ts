/** The system of a cluster's node: packages of the machine's Debian, unpacked into a folder and not installed. */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Component } from './component.ts'
import { APT, download, release, withDependencies } from './debian-packages.ts'

const run = promisify(execFile)

const PACKAGES = [
  'containerd',
  'runc',
  'containernetworking-plugins',
  'iptables',
  'conntrack',
  'iproute2',
  'mount',
  'openssl',
  'busybox-static',
]
const TOLD = ['containerd', 'runc', 'containernetworking-plugins', 'iptables']

/**
 * A folder to use as a root directory, with containerd, runc, CNI plug-ins, iptables and busybox in it. Neither root nor
 * a change of the machine is needed to have it.
 */
export const nodeSystem: Component = {
  name: 'node-system',
  version: release(),
  file: '.',
  needs: { 'apt-get': APT, dpkg: APT },
  async install(folder) {
    const packages = await withDependencies(PACKAGES)
    const archives = join(folder, 'archives')
    await mkdir(archives)
    await download(archives, packages)
    // as in Debian's own root: packages still bring files for /lib and for /usr/lib
    for (const part of ['bin', 'sbin', 'lib', 'lib64']) {
      await mkdir(join(folder, 'usr', part), { recursive: true })
      await symlink(`usr/${part}`, join(folder, part))
    }
    const files = (await readdir(archives)).filter((name) => name.endsWith('.deb'))
    for (const file of files) await unpack(join(archives, file), folder)
    await rm(archives, { recursive: true })
    await link(folder)
    const versions = files.map((file) => decodeURIComponent(file).split('_')).sort()
    const told = versions.filter(([name = '']) => TOLD.includes(name)).map(([name, version]) => `${name} ${version}`)
    await writeFile(join(folder, 'versions'), `${told.join(', ')}\n`)
  },
  async ask(folder) {
    return (await readFile(join(folder, 'versions'), 'utf8')).trim()
  },
}

/** Links that the packages' own scripts would make, and busybox for the usual small programs. */
async function link(folder: string): Promise<void> {
  for (const name of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore'])
      await symlink('xtables-nft-multi', join(folder, 'usr/sbin', `${name}${suffix}`))
  }
  const { stdout } = await run(join(folder, 'usr/bin/busybox'), ['--list'])
  const there = new Set([...(await readdir(join(folder, 'usr/bin'))), ...(await readdir(join(folder, 'usr/sbin')))])
  for (const name of stdout.trim().split('\n')) {
    if (!there.has(name)) await symlink('busybox', join(folder, 'usr/bin', name))
  }
}

/** Through a tar stream, which leaves a link to a folder a link. */
async function unpack(archive: string, folder: string): Promise<void> {
  const pipe = 'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink --no-same-owner -C "$2"'
  await run('bash', ['-c', pipe, 'unpack', archive, folder])
}
