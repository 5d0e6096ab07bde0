// pg: the pool asks for a token for each connection that it opens.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import pg from 'pg'

async function fetchToken() {
  const { stdout } = await promisify(execFile)(process.env.TOKEN_COMMAND)
  return stdout.trim()
}

const { PGHOST: host, PGUSER: user, PGDATABASE: database } = process.env
const port = Number(process.env.PGPORT)
const plain = process.env.PGSSLMODE === 'disable'
const ssl = plain ? false : { ca: readFileSync(process.env.PGSSLROOTCERT) }

const pool = new pg.Pool({ host, port, user, database, ssl, password: fetchToken })
const clients = [await pool.connect(), await pool.connect()]
for (const client of clients) {
  const { rows } = await client.query({ text: process.env.QUERY, rowMode: 'array' })
  console.log(rows[0][0])
  client.release()
}
await pool.end()
