#!/usr/bin/env node
/**
 * Looks at the version of Node before anything that an older one cannot load, so that whoever has an older one reads
 * a sentence and not a stack.
 */
const OLDEST = { major: 22, minor: 18 }

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
  const oldest = `${OLDEST.major}.${OLDEST.minor}`
  process.stderr.write(
    `maoctl: needs Node.js ${oldest} or later, and this is ${process.versions.node}; install a newer one from your system or https://nodejs.org (UNSUPPORTED)\n`,
  )
  process.exitCode = 1
} else {
  const { runCommandLine } = await import('./program.ts')
  const { stdin, stdout, stderr, env: environment } = process
  // Whoever reads only the first lines of an answer, as head does, has what they want.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
  process.exitCode = await runCommandLine(process.argv.slice(2), { stdin, stdout, stderr, environment })
}

export {}
