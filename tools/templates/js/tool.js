// The tools of the package NAME. A fresh instance runs each call: nothing is left over from the one before.
// What stands outside functions runs once, when the component is built.

import specs from "./tools.json";

const TOOLS = {
  count: ({ text }) => `${text.match(/\S+/gu)?.length ?? 0} words, ${[...text].length} characters`,
};

export const tools = {
  // What the model reads stands in tools.json.
  describe: () => specs.map((spec) => ({ ...spec, parameters: JSON.stringify(spec.parameters) })),

  // The arguments fit the schema in tools.json. What is thrown so is told to the model: the other tags are
  // "invalid-arguments" and "failed".
  call(name, args) {
    if (!Object.hasOwn(TOOLS, name)) throw { tag: "unknown-tool", val: name };
    return { text: TOOLS[name](JSON.parse(args)), attachments: [] };
  },
};
