#!/usr/bin/env node
/** What git runs for addresses that begin with `mao://`; looks at the version of Node first, as maoctl does. */
const OLDEST = { major: 22, minor: 18 }

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
  const oldest = `${OLDEST.major}.${OLDEST.minor}`
  process.stderr.write(
    `git-remote-mao: needs Node.js ${oldest} or later, and this is ${process.versions.node}; install a newer one from your system or https://nodejs.org (UNSUPPORTED)\n`,
  )
  process.exitCode = 1
} else {
  const { runRemoteHelper } = await import('./git-remote-mao-helper.ts')
  process.exitCode = await runRemoteHelper(process.argv.slice(2), process.env)
}

export {}
