/** The image, built from the Dockerfile and run as a cluster runs it. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { after, before, test } from 'node:test'
import packageJson from '../../package.json' with { type: 'json' }
import { UnpackedImage } from '../testbed/container.ts'
import { type Image, productImage } from '../testbed/image.ts'

let image: Image
let unpacked: UnpackedImage

before(async () => {
  image = await productImage()
  unpacked = await UnpackedImage.unpack(image.archive)
})

after(async () => {
  await unpacked?.[Symbol.asyncDispose]()
})

const version = `deltawire ${packageJson.version}, node ${packageJson.devDependencies.node}\n`

test('it starts as any user, with a read-only root and neither capabilities nor network', async () => {
  assert.deepEqual(await unpacked.run({ args: ['version'] }), { exitCode: 0, output: version })
})

test('deltawire is on its PATH, for commands in a running pod', async () => {
  assert.deepEqual(await unpacked.run({ command: ['deltawire'], args: ['version'] }), { exitCode: 0, output: version })
})

test('it holds no shell, no package manager and no packages', () => {
  const files = globSync('**', { cwd: unpacked.root })
  assert.ok(files.includes('opt/deltawire/main.mjs'))
  const unwanted = /(?:^|\/)(?:node_modules|npm|npx|corepack|apt|dpkg|sh|bash|dash|busybox)$/
  assert.deepEqual(
    files.filter((file) => unwanted.test(file)),
    [],
  )
})
