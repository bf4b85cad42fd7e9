"""The console: the home's own page, served by a process of its own that speaks to the agent over its local socket.

    agent ─agent.sock─▶ agent_line ─▶ view ─▶ hub ─server-sent events─▶ page
                             ◀─ app (people, PINs, tablets) ◀─HTTP─ page

It asks at its own pace over one connection, so neither a browser nor a console that hangs, floods or dies costs the
agent anything. What the agent said last is shown only as long as the agent goes on answering.
"""
