// What the tests run in the page: a chat turn by fetch, its events shown in the page as they come.
window.startTurn = (userInput) => {
  const turn = { status: null, events: [], ended: false, aborted: false, abort: new AbortController() };
  const shown = document.body.appendChild(document.createElement("pre"));
  const take = (block) => {
    const lines = block.split("\n");
    const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
    if (!data) return;
    const named = lines.find((line) => line.startsWith("event:"));
    const event = { name: named ? named.slice(6).trim() : "message", data: JSON.parse(data), at: performance.now() };
    turn.events.push(event);
    shown.textContent += event.name === "message" ? event.data.delta : `\n[${event.name}] ${data}\n`;
  };
  const read = async () => {
    const response = await fetch("/chat_stream", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user_input: userInput, regenerate: false }),
      signal: turn.abort.signal,
    });
    turn.status = response.status;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const blocks = (rest + piece.value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach(take);
    }
  };
  turn.done = read()
    .catch((error) => { turn.aborted = error.name === "AbortError"; if (!turn.aborted) throw error; })
    .finally(() => { turn.ended = true; });
  window.turn = turn;
};
window.replyTo = async (userInput) => {
  window.startTurn(userInput);
  await window.turn.done;
  const { status, events } = window.turn;
  return { status, events };
};
