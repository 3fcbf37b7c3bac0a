// Installs the dependencies when they are missing or not those of package-lock.json.
// Runs before every main script, on whatever Node the machine has (20 or newer): plain JavaScript, no dependency.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')
const stamp = join(root, 'node_modules', '.installed')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  const started = Date.now()
  console.error('Installing dependencies (once) ...')
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm']
  const { status, error } = spawnSync(npm[0], [...npm.slice(1), 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) {
    console.error(
      `npm ci failed${error ? `: ${error.message}` : ` with exit code ${status}`}. Is the npm registry reachable?`,
    )
    process.exit(1)
  }
  writeFileSync(stamp, lock)
  console.error(`Installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
}
