// Checks Azure Pipelines files with Microsoft's language service and one JSON schema:
//   node check.mjs SCHEMA.json FILE.yml …
// Prints {"FILE.yml": [{"line": 1, "column": 1, "message": "…", "severity": "error"|"warning"|"hint"}]}, places counted from 1.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The packages stand beside package.json, which is where npm was run; this file may stand elsewhere.
const require = createRequire(join(process.cwd(), "package.json"));
console.log = () => {}; // the service narrates there, and our answer goes to the same place
const { getLanguageService, parse } = require("azure-pipelines-language-service");
const { TextDocument } = require("vscode-languageserver-textdocument");

const SEVERITIES = { 1: "error", 2: "warning", 3: "information", 4: "hint" };
const PLACES = { pipeline: "/pipeline/", variables: "/variables/" };

function serviceWith(schema) {
  if (!schema?.definitions?.pipeline || !schema.definitions.variablesTemplate) {
    throw new Error("the schema has no definitions of pipeline and variablesTemplate; is it that of Azure Pipelines?");
  }
  const service = getLanguageService();
  // The schemas are handed over as objects. What a schemaRequestService answers is used as it is, so one
  // that answers with text gives a schema without keywords, to which every file conforms.
  const variables = { $ref: "#/definitions/variablesTemplate", definitions: schema.definitions };
  service.configure({
    validate: true,
    schemas: [
      { uri: "schema://pipeline", fileMatch: [`${PLACES.pipeline}*`], schema },
      { uri: "schema://variables", fileMatch: [`${PLACES.variables}*`], schema: variables },
    ],
  });
  return service;
}

// The schema has no room at its root for a template that holds nothing but variables, so such a file is held against the schema's part for them.
function kind(parsed) {
  const keys = (parsed.documents[0]?.root?.properties ?? []).map((property) => property.key.value);
  const others = keys.filter((key) => key !== "parameters");
  return others.length > 0 && others.every((key) => key === "variables") ? "variables" : "pipeline";
}

async function problems(service, file, number) {
  const text = readFileSync(file, "utf8");
  let diagnostics;
  try {
    const parsed = parse(text);
    const document = TextDocument.create(`file://${PLACES[kind(parsed)]}${number}`, "yaml", 1, text);
    diagnostics = await service.doValidation(document, parsed);
  } catch (error) {
    return [{ line: 1, column: 1, message: `the language service fails on this file: ${error.message}`, severity: "error" }];
  }
  return diagnostics.map(({ range, message, severity }) => ({
    line: range.start.line + 1,
    column: range.start.character + 1,
    message,
    severity: SEVERITIES[severity],
  }));
}

const [schemaFile, ...files] = process.argv.slice(2);
const service = serviceWith(JSON.parse(readFileSync(schemaFile, "utf8")));
const answer = {};
for (const [number, file] of files.entries()) {
  answer[file] = await problems(service, file, number);
}
process.stdout.write(JSON.stringify(answer));
