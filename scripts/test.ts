/**
 * `npm test [-- FILE ...]`: types, format and lint, then every test, on real components. Ends with what really ran, in
 * which versions. With files: only those tests. Under CI=true a skipped test is a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileOf, install } from '../test/testbed/component.ts'
import { components } from '../test/testbed/components.ts'

/** A test that loops without an await cannot be timed out from within: the runner names its file when it is ended. */
const LONGEST_RUN_MINUTES = 30

const started = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'deltawire-test-'))
const used = join(folder, 'used')
const results = join(folder, 'results')
writeFileSync(used, '')
writeFileSync(results, '')
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

let child: ChildProcess | undefined
// Ctrl-C reaches the child too: it ends, and what it did is told as always
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child?.kill('SIGTERM'))

const asked = process.argv.slice(2)
if (asked.length === 0) {
  await step('types', 'tsc', ['--pretty'])
  await step('format and lint', 'biome', ['check', '--error-on-warnings', '.'])
}
heading('components')
for (const component of components) await install(component)

const files = asked.length > 0 ? asked : globSync('{src,sinks,test,examples,bench}/**/*.test.ts').sort()
heading(`${files.length} test files`)
const reporters = [
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  '--test-reporter=tap',
  `--test-reporter-destination=${results}`,
]
const deadline = setTimeout(() => {
  console.log(`\nThe tests are ended: they ran for ${LONGEST_RUN_MINUTES} minutes.`)
  child?.kill('SIGTERM')
}, LONGEST_RUN_MINUTES * 60_000)
const args = ['--test', '--test-concurrency=2', '--test-timeout=600000', ...reporters, ...files]
const exitCode = await run(process.execPath, args, { DELTAWIRE_TEST_REPORT: used })
clearTimeout(deadline)
const complaints = await summary()
process.exitCode = exitCode === 0 && complaints === 0 ? 0 : 1

/** Says what ran. Resolves with the number of reasons for which the run is a failure though no test failed. */
async function summary(): Promise<number> {
  heading('what ran')
  console.log(`node ${process.version.slice(1)}`)
  const names = new Set(readFileSync(used, 'utf8').split('\n'))
  let complaints = 0
  for (const component of components) {
    if (names.has(component.name)) {
      console.log(`${component.name} ${await component.ask(fileOf(component))}`)
    } else {
      console.log(`${component.name}: NOT USED by these tests`)
      if (asked.length === 0) complaints++
    }
  }
  // the runner's own lines come after everything that a test may have said
  const tap = readFileSync(results, 'utf8')
  const count = (name: string) => Number([...tap.matchAll(new RegExp(`^# ${name} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0)
  const skipped = count('skipped') + count('todo')
  const failed = count('fail') + count('cancelled')
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(`${count('tests')} tests: ${count('pass')} passed, ${failed} failed, ${skipped} skipped, in ${seconds} s`)
  if (skipped > 0) console.log('Skipped tests prove nothing: run them or remove them.')
  if (skipped > 0 && process.env.CI === 'true') complaints++
  return complaints
}

async function step(name: string, program: string, args: readonly string[]): Promise<void> {
  heading(name)
  if ((await run(join('node_modules', '.bin', program), args)) === 0) return
  console.log(`\n${name}: FAILED. \`npm run check\` runs only these checks; \`npm run fix\` mends format.`)
  process.exit(1)
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const spawned = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  child = spawned
  return await new Promise((resolve, reject) =>
    spawned.on('error', reject).on('exit', (exitCode) => resolve(exitCode ?? 1)),
  )
}

function heading(text: string): void {
  console.log(`\n=== ${text}`)
}
