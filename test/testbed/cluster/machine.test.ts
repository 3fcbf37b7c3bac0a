import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdMachine, type Machine, requireAbility } from './machine.ts'

const able: Machine = {
  platform: 'linux',
  user: 0,
  programs: ['unshare', 'nsenter'],
  filesystems: 'nodev\ttmpfs\n\text4\nnodev\toverlay\n',
  bridgeFilter: true,
  cgroups: true,
}

test('a machine that has everything can run a cluster', () => {
  requireAbility(able)
})

test('a machine that cannot run a cluster is told everything that it lacks, with the way out', () => {
  const bare = {
    ...able,
    user: 1000,
    programs: ['unshare'],
    filesystems: '\text4\n',
    bridgeFilter: false,
    cgroups: false,
  }
  assert.throws(() => requireAbility(bare), {
    message: [
      'A cluster cannot run on this machine:',
      '- it takes root, for namespaces and mounts: use sudo',
      '- there is no nsenter: it is in the package util-linux',
      '- the kernel has no overlayfs: `modprobe overlay`',
      '- the kernel does not show bridges to iptables: `modprobe br_netfilter`',
      '- there are no cgroups at /sys/fs/cgroup: mount them',
    ].join('\n'),
  })
})

test('a machine without Linux is told so, and nothing else', () => {
  assert.throws(() => requireAbility({ ...able, platform: 'darwin', user: 501, programs: [] }), {
    message: 'A cluster cannot run on this machine:\n- it takes Linux, and this is darwin: use a virtual machine',
  })
})

test('there is one cluster at a time: the second waits for the end of the first', async () => {
  const first = await holdMachine()
  let told = ''
  const second = holdMachine((line) => {
    told = line
    first[Symbol.dispose]()
  })
  const held = await second
  held[Symbol.dispose]()
  assert.equal(told, 'Another cluster runs on this machine: waiting for its end ...\n')
})
