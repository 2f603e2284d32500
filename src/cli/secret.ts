import type { Command } from 'commander'
import { z } from 'zod'
import { sealedFileSchema, secretNameSchema, secretSchema } from '../api/secret-views.ts'
import { NodeError } from '../base/errors.ts'
import { askSecret } from './ask-secret.ts'
import { timeText } from './output.ts'
import type { Act } from './session.ts'

interface For {
  pipeline?: string | undefined
  step?: string | undefined
}

export function secretCommands(program: Command, act: Act): void {
  const secret = program
    .command('secret')
    .description("this node's secrets, sealed with its key; steps get them once they are approved")

  secret
    .command('set <variable>')
    .description('seal a secret; its value is asked for, or read from standard input')
    .option('--pipeline <name>', 'for that pipeline alone')
    .option('--step <name>', 'for that step of the pipeline alone')
    .action(
      act(async (session, variable: string, named: For) => {
        checkNamed(named)
        const client = await session.connect()
        const value = await askSecret(session, `The value of ${variable}`)
        await client.put('/secrets', secretNameSchema, { variable, ...named, value })
        session.out.result(
          { variable, ...named },
          () => `${wordsOf({ variable, ...named })} is sealed on this node.`,
        )
      }),
    )

  secret
    .command('list')
    .description('list the secrets by name; values are never shown')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const secrets = await client.get('/secrets', z.array(secretSchema))
        session.out.result(secrets, () => {
          const rows = secrets.map(({ variable, pipeline, step, timeMs }) => {
            return [variable, pipeline ?? 'all', step ?? 'all', timeText(timeMs)]
          })
          return session.out.table(['variable', 'pipeline', 'step', 'set'], rows)
        })
      }),
    )

  secret
    .command('remove <variable>')
    .description('forget a secret')
    .option('--pipeline <name>', 'the one for that pipeline')
    .option('--step <name>', 'the one for that step of the pipeline')
    .action(
      act(async (session, variable: string, named: For) => {
        checkNamed(named)
        await session.confirm(`Forget ${wordsOf({ variable, ...named })}?`)
        const client = await session.connect()
        const query = new URLSearchParams({ variable, ...(named as Record<string, string>) })
        await client.delete(`/secrets?${query}`)
        session.out.result({ removed: { variable, ...named } }, () => {
          return `${wordsOf({ variable, ...named })} is forgotten.`
        })
      }),
    )

  secret
    .command('seal')
    .description('move what secrets.yaml holds into the sealed store, and remove that file')
    .action(
      act(async (session) => {
        const client = await session.connect()
        await session.confirm('Seal the secrets of secrets.yaml and remove that file?')
        const { path, sealed } = await client.post('/secrets/seal', sealedFileSchema)
        session.out.result({ path, sealed }, () => {
          if (sealed.length === 0) return `${path} holds no secrets.`
          const names = sealed.map(wordsOf).join(', ')
          return `Sealed ${names}. ${path} is removed; copies of it in backups are not.`
        })
      }),
    )
}

function checkNamed({ pipeline, step }: For): void {
  if (step === undefined || pipeline !== undefined) return
  throw new NodeError('INVALID_INPUT', 'A step is named together with its pipeline; add --pipeline')
}

function wordsOf({ variable, pipeline, step }: For & { variable: string }): string {
  const where = step === undefined ? pipeline : `the step ${step} of ${pipeline}`
  return where === undefined ? variable : `${variable} for ${where}`
}
