import Glibc

func setMode(_ path: String, _ mode: UInt32) { unsafe chmod(path, mode) }
func link(_ target: String, _ path: String) { unsafe symlink(target, path) }
