// The connection to the server: one websocket; JSON in both directions, and frames of bytes from the server.

export function connect({ heard, frame, lost }) {
  const secure = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${secure}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  const words = new TextDecoder();
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      heard(JSON.parse(data));
      return;
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(words.decode(new Uint8Array(data, 4, length)));
    frame(header, new Uint8Array(data, 4 + length));
  };
  socket.onclose = () => lost();
  return (what, given = {}) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ do: what, ...given }));
  };
}
