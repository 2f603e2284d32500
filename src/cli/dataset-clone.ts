import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { datasetSchema } from '../api/dataset-views.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { ApiClient } from './client.ts'
import type { Act, Session } from './session.ts'

/** Work in a clone. */
export function datasetCloneCommands(dataset: Command, act: Act): void {
  dataset.command('clone <name> [directory]').description('clone a dataset with git').action(act(clone))
}

async function clone(session: Session, name: string, directory: string | undefined): Promise<void> {
  const client = await session.connect()
  const { truth } = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
  const target = resolve(directory ?? name)
  const url = `${client.url}/git/${encodeURIComponent(name)}.git`
  await git(session, client, ['clone', '--', url, target])
  session.out.result(
    { name, directory: target, url, truth: truth ?? null },
    () => `${name} is cloned to ${target}.`,
  )
  session.out.note(
    `To fetch again: git -c http.extraHeader="Authorization: Bearer $(cat ${session.data}/api-token)" fetch`,
  )
}

/** Runs stock git. The token travels in git's environment, where other users of the machine do not see it. */
function git(session: Session, client: ApiClient, words: readonly string[]): Promise<void> {
  const { environment, stderr } = session.terminal
  const given = Number(environment.GIT_CONFIG_COUNT ?? 0)
  const env = {
    ...environment,
    GIT_CONFIG_COUNT: String(given + 1),
    [`GIT_CONFIG_KEY_${given}`]: `http.${client.url}/.extraHeader`,
    [`GIT_CONFIG_VALUE_${given}`]: `Authorization: Bearer ${client.token}`,
    GIT_TERMINAL_PROMPT: '0',
  }
  return new Promise((done, fail) => {
    // What git says is progress; standard output stays for the result.
    const child = spawn('git', words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (bytes: Buffer) => stderr.write(bytes))
    child.stderr.on('data', (bytes: Buffer) => stderr.write(bytes))
    child.once('error', (cause) => {
      const message = `git does not start (${messageOf(cause)}); install git to clone datasets`
      fail(new NodeError('GIT_FAILED', message, {}, { cause }))
    })
    child.once('close', (code) => {
      if (code === 0) done()
      else fail(new NodeError('GIT_FAILED', `git ${words[0]} ended with ${code ?? 'a signal'}`))
    })
  })
}
