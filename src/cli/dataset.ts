import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { commitSchema, type DatasetView, datasetSchema } from '../api/views.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { archiveOf } from './archive.ts'
import { parseCount } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { type Output, type Pair, shortId, timeText } from './output.ts'
import type { Act, Session } from './session.ts'
import { truthCommand } from './truth.ts'

interface NewOptions {
  name: string
  description?: string
}

export function datasetCommands(program: Command, act: Act): void {
  const dataset = program.command('dataset').description('the data that members share, as git repositories')

  dataset
    .command('add')
    .description('make a new, empty dataset that the federation shares')
    .requiredOption('--name <name>', 'name of the dataset')
    .option('--description <text>', 'what is in it')
    .action(
      act(async (session, { name, description }: NewOptions) => {
        const client = await session.connect()
        const added = await client.post('/datasets', datasetSchema, { name, description })
        session.out.result(added, () => `The dataset ${added.name} exists and is empty.`)
      }),
    )

  dataset
    .command('import <directory>')
    .description('make a dataset of the files in a directory')
    .requiredOption('--name <name>', 'name of the dataset')
    .option('--description <text>', 'what is in it')
    .action(act(importDirectory))

  dataset
    .command('list')
    .description('list the datasets of the federation')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const datasets = await client.get('/datasets', z.array(datasetSchema))
        session.out.result(datasets, () => {
          const rows = datasets.map(({ name, truth, branches, replicated, description }) => {
            return [
              name,
              shortId(truth),
              String(branches.length),
              replicated ? 'yes' : 'not yet',
              description,
            ]
          })
          return session.out.table(['name', 'truth', 'branches', 'replicated', 'description'], rows)
        })
      }),
    )

  dataset
    .command('show <name>')
    .description("show one dataset with its members' branches")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(`/datasets/${encodeURIComponent(name)}`, datasetSchema)
        session.out.result(shown, () => render(session.out, shown))
      }),
    )

  dataset
    .command('log <name>')
    .description('list the commits of a branch, newest first')
    .option('--branch <branch>', 'default: ground-truth')
    .option('--limit <count>', 'at most so many', parseCount)
    .action(
      act(async (session, name: string, query: { branch?: string; limit?: number }) => {
        const client = await session.connect()
        const commits = await client.get(`/datasets/${encodeURIComponent(name)}/log`, z.array(commitSchema), {
          ...query,
        })
        session.out.result(commits, () => {
          const rows = commits.map(({ oid, timeMs, author, message }) => {
            return [shortId(oid), timeText(timeMs), author.name, message.split('\n')[0] ?? '']
          })
          return session.out.table(['commit', 'time', 'author', 'message'], rows)
        })
      }),
    )

  dataset.command('clone <name> [directory]').description('clone a dataset with git').action(act(clone))

  truthCommand(dataset, act)
}

async function importDirectory(session: Session, directory: string, { name, description }: NewOptions) {
  const client = await session.connect()
  const { bytes, told } = await archiveOf(resolve(directory))
  const query = { name, description }
  const imported = await client.send('/datasets/import', datasetSchema, {
    body: bytes,
    type: 'application/x-tar',
    query,
  })
  if (told.leftOut.length > 0) session.out.note(`Left out: ${told.leftOut.join(', ')}`)
  session.out.result(imported, () => {
    return `The dataset ${imported.name} holds ${told.files} ${told.files === 1 ? 'file' : 'files'}, at commit ${shortId(imported.truth)}.`
  })
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

function render(out: Output, dataset: DatasetView): string {
  const { name, description, policy, createdBy, truth, replicated, branches } = dataset
  const pairs: Pair[] = [
    ['name', name],
    ...(description === '' ? [] : [['about', description] as Pair]),
    ['policy', policy],
    ['created by', createdBy],
    ['truth', truth ?? 'none yet'],
    ['replicated', replicated ? 'all announced heads are here' : 'not all announced heads are here yet'],
  ]
  if (branches.length === 0) return out.pairs(pairs)
  const rows = branches.map(({ branch, commit, member, present }) => {
    return [branch, shortId(commit), member, present ? 'yes' : 'not yet']
  })
  return `${out.pairs(pairs)}\n\n${out.table(['branch', 'commit', 'member', 'here'], rows)}`
}
