"""One nginx in front of two octroi, as in docs/many-machines.md."""

from second import Second


class Both(Second):
    """An octroi whose nginx also knows another one."""

    def __init__(self, first, other, settings=None):
        self._other = other
        super().__init__(first, settings)

    def _configure_web(self, web):
        changed = 0
        for file in web.rglob("*.conf"):
            text = file.read_text()
            new = text.replace("fastcgi_next_upstream off;", "fastcgi_next_upstream error;\nfastcgi_next_upstream_tries 2;")
            for name in ("octroi", "internal"):
                own = f"server unix:{self.run}/{name}.sock;"
                new = new.replace(own, f"server unix:{self.run}/{name}.sock max_fails=1 fail_timeout=1s;\n"
                                       f"\tserver unix:{self._other.run}/{name}.sock max_fails=1 fail_timeout=1s;")
            changed += new != text
            file.write_text(new)
        assert changed >= 2, "nginx's files have other words"
