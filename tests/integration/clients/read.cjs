// ClickHouse's client for JavaScript, as its manual shows it. Prints one fact a line: its name, then what was read.
"use strict";
const { createClient } = require("@clickhouse/client");

const [url, owner, ownerPassword, reader, readerPassword] = process.argv.slice(2);

function connected(username, password) {
  return createClient({ url, username, password, database: "throughline", compression: { response: true, request: true } });
}

async function rows(client, query, query_params = {}) {
  return (await client.query({ query, query_params, format: "JSONEachRow" })).json();
}

async function codeOf(action) {
  try {
    await action();
  } catch (error) {
    return error.code;
  }
  return "none";
}

async function streamed(client, query) {
  let sum = 0;
  const answer = await client.query({ query, format: "JSONEachRow" });
  for await (const some of answer.stream()) {
    for (const row of some) sum += Number(row.json().number);
  }
  return sum;
}

async function main() {
  const reading = connected(reader, readerPassword);
  const writing = connected(owner, ownerPassword);
  console.log("ping", (await reading.ping({ select: true })).success);
  console.log("text", (await rows(reading, "SELECT {who:String} AS who", { who: "O'Hara" }))[0].who);
  console.log("sum", await streamed(reading, "SELECT number FROM numbers(300000)"));
  for (let n = 0; n < 5; n++) {
    console.log("count", Number((await rows(reading, "SELECT count() AS n FROM sessions"))[0].n));
  }
  await writing.command({ query: "CREATE TABLE from_javascript (n UInt32, word String) ENGINE = MergeTree ORDER BY n" });
  const values = Array.from({ length: 1000 }, (_, n) => ({ n, word: `word ${n}` }));
  await writing.insert({ table: "from_javascript", values, format: "JSONEachRow" });
  console.log("inserted", Number((await rows(reading, "SELECT sum(n) AS n FROM from_javascript"))[0].n));
  console.log("refused", await codeOf(() => reading.command({ query: "DROP TABLE from_javascript" })));
  console.log("unknown", await codeOf(() => rows(reading, "SELECT * FROM nothing")));
  await reading.close();
  await writing.close();
}

main();
