import { execFile, spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A shell and its tools and nothing else; made once per machine, since no registry may answer here. */
export const BUSYBOX = 'mao-test/busybox:1'

/** Where Debian's busybox-static puts the program. */
const PROGRAM = '/bin/busybox'

/**
 * Makes sure that `image` is on the engine: busybox with a link per applet, imported as a file system.
 *
 * @param changes Dockerfile instructions for the image, such as `USER 1000`; each set makes another image.
 */
export async function testImage(image = BUSYBOX, changes: readonly string[] = []): Promise<string> {
  // Test files run side by side: two that both made the image would move its tag under each other.
  const unlock = await lock(`${image.replaceAll(/[^a-z0-9]/g, '-')}.lock`)
  try {
    if (changes.length > 0 || !(await exists(image))) await makeImage(image, changes)
    return image
  } finally {
    await unlock()
  }
}

async function makeImage(image: string, changes: readonly string[]): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'mao-image-'))
  try {
    for (const directory of ['bin', 'tmp', 'etc', 'usr/src/app']) {
      await mkdir(join(root, directory), { recursive: true })
    }
    await chmod(join(root, 'tmp'), 0o1777)
    await copyFile(PROGRAM, join(root, 'bin/busybox'))
    await chmod(join(root, 'bin/busybox'), 0o755)
    const { stdout } = await run(PROGRAM, ['--list'])
    for (const applet of stdout.split('\n').filter((name) => name !== '' && name !== 'busybox')) {
      await symlink('busybox', join(root, 'bin', applet))
    }
    await importRoot(root, image, ['ENV PATH=/bin', 'WORKDIR /usr/src/app', ...changes])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

export async function removeImage(image: string): Promise<void> {
  await run('docker', ['image', 'rm', '--force', image])
}

export async function tagImage(from: string, to: string): Promise<void> {
  await run('docker', ['tag', from, to])
}

/** Ids of the containers, ended ones too, that carry `label=value`. */
export async function containersLabelled(label: string, value: string): Promise<string[]> {
  const { stdout } = await run('docker', ['ps', '--all', '--quiet', '--filter', `label=${label}=${value}`])
  return stdout.split('\n').filter((line) => line !== '')
}

/** One holder per name among the processes of this machine; a holder that died is forgotten after a minute. */
async function lock(name: string): Promise<() => Promise<void>> {
  const path = join(tmpdir(), name)
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      await mkdir(path)
      return () => rm(path, { recursive: true, force: true })
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    if (Date.now() > deadline) await rm(path, { recursive: true, force: true })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function exists(image: string): Promise<boolean> {
  try {
    await run('docker', ['image', 'inspect', image])
    return true
  } catch {
    return false
  }
}

/** `tar | docker import`, waiting for both and for neither longer than a minute. */
async function importRoot(root: string, image: string, changes: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(60_000)
  const tar = spawn('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], {
    signal,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const options = changes.flatMap((change) => ['--change', change])
  const docker = spawn('docker', ['import', ...options, '-', image], {
    signal,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  tar.stdout.pipe(docker.stdin)
  await Promise.all([ended(tar), ended(docker)])
}

function ended(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${child.spawnfile} ended with ${code}`))
    })
  })
}
