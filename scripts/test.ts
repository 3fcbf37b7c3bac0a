/**
 * `npm test [-- FILE ...]`: types, format and lint, then every test, on real components. Ends with what really ran, in
 * which versions. Under CI=true a skipped test is a failure.
 */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileOf, install } from '../test/testbed/component.ts'
import { components } from '../test/testbed/components.ts'

const started = performance.now()
const folder = mkdtempSync(join(tmpdir(), 'deltawire-test-'))
const report = join(folder, 'used')
const results = join(folder, 'results')
writeFileSync(report, '')
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const asked = process.argv.slice(2)
if (asked.length === 0) {
  await step('types', 'tsc', ['--pretty'])
  await step('format and lint', 'biome', ['check', '--error-on-warnings', '.'])
}
heading('components')
for (const component of components) await install(component)

const files = asked.length > 0 ? asked : globSync(['{src,sinks,test,examples,bench}/**/*.test.ts'])
heading(`${files.length} test files`)
const reporters = [
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  '--test-reporter=tap',
  `--test-reporter-destination=${results}`,
]
const code = await run(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=600000', ...reporters, ...files.sort()],
  {
    DELTAWIRE_TEST_REPORT: report,
  },
)
await summary(code)

async function summary(exitCode: number): Promise<void> {
  const used = new Set(readFileSync(report, 'utf8').split('\n'))
  const tap = readFileSync(results, 'utf8')
  const count = (name: string) => Number(new RegExp(`^# ${name} (\\d+)`, 'm').exec(tap)?.[1] ?? 0)
  heading('what ran')
  console.log(`node ${process.version.slice(1)}`)
  for (const component of components) {
    if (used.has(component.name)) console.log(`${component.name} ${await component.ask(fileOf(component))}`)
    else console.log(`${component.name}: NOT USED by these tests`)
  }
  const skipped = count('skipped') + count('todo')
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${count('tests')} tests: ${count('pass')} passed, ${count('fail')} failed, ${skipped} skipped, in ${seconds} s`,
  )
  if (skipped > 0) console.log('Skipped tests prove nothing: run them or remove them.')
  process.exitCode = exitCode !== 0 || (skipped > 0 && process.env.CI === 'true') ? 1 : 0
}

async function step(name: string, program: string, args: readonly string[]): Promise<void> {
  heading(name)
  const exitCode = await run(join('node_modules', '.bin', program), args)
  if (exitCode === 0) return
  console.log(`${name}: failed. \`npm run check\` runs only this; \`npm run fix\` mends format.`)
  process.exit(1)
}

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  return new Promise((resolve, reject) => child.on('error', reject).on('exit', (exitCode) => resolve(exitCode ?? 1)))
}

function heading(text: string): void {
  console.log(`\n=== ${text}`)
}
