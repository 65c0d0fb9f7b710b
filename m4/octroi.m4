dnl Macros of octroi's configure.

dnl OCTROI_LIBRARY(PREFIX, pkg-config module, Debian package)
dnl Sets PREFIX_CFLAGS and PREFIX_LIBS; what is missing is collected, so that one run names it all.
AC_DEFUN([OCTROI_LIBRARY], [
  PKG_CHECK_MODULES([$1], [$2], [], [
    AC_MSG_RESULT([no])
    octroi_missing="$octroi_missing $3"
  ])
])

dnl OCTROI_LIBRARIES_FOUND: stops with the Debian packages of what was missing.
AC_DEFUN([OCTROI_LIBRARIES_FOUND], [
  AS_IF([test -n "$octroi_missing"],
    [AC_MSG_ERROR([libraries are missing; on Debian: apt-get install$octroi_missing])])
])

dnl OCTROI_FCGI: libfcgi, which has a heap overflow before the fix of CVE-2025-23016.  Upstream
dnl has the fix since 2.4.5, Debian 12 since 2.4.2-2+deb12u1, whose fcgi.pc still says 2.4.2: there
dnl only dpkg knows.  A version that is known to lack the fix is refused; one that cannot be known
dnl as well, unless the builder vouches for it.
AC_DEFUN([OCTROI_FCGI], [
  AC_ARG_WITH([patched-fcgi],
    [AS_HELP_STRING([--with-patched-fcgi], [this libfcgi has the fix of CVE-2025-23016 though its version does not tell])],
    [], [with_patched_fcgi=no])
  AC_CHECK_HEADER([fcgiapp.h], [], [octroi_missing="$octroi_missing libfcgi-dev"])
  AC_CHECK_LIB([fcgi], [FCGX_Accept_r], [FCGI_LIBS=-lfcgi], [AS_CASE(["$octroi_missing"],
    [*libfcgi-dev*], [], [octroi_missing="$octroi_missing libfcgi-dev"])])
  AC_SUBST([FCGI_LIBS])
  AS_CASE(["$octroi_missing"], [*libfcgi-dev*], [], [
    AC_MSG_CHECKING([whether libfcgi has the fix of CVE-2025-23016])
    octroi_fcgi_fixed=unknown
    octroi_fcgi_version=`$PKG_CONFIG --modversion fcgi 2>/dev/null`
    AS_IF([$PKG_CONFIG --exists 'fcgi >= 2.4.5' 2>/dev/null],
      [octroi_fcgi_fixed=yes],
      [octroi_package=`dpkg-query -W -f '${Version}' libfcgi-dev 2>/dev/null`
       AS_IF([test -n "$octroi_package"],
         [octroi_fcgi_version=$octroi_package
          AS_IF([dpkg --compare-versions "$octroi_package" ge 2.4.2-2+deb12u1],
            [octroi_fcgi_fixed=yes], [octroi_fcgi_fixed=no])])])
    AS_IF([test -z "$octroi_fcgi_version"], [octroi_fcgi_version="of unknown version"])
    AC_MSG_RESULT([$octroi_fcgi_fixed ($octroi_fcgi_version)])
    AS_IF([test "$octroi_fcgi_fixed" != yes && test "$with_patched_fcgi" != yes],
      [AC_MSG_ERROR([libfcgi $octroi_fcgi_version is not known to have the fix of CVE-2025-23016
  (2.4.5 or later; Debian 12: 2.4.2-2+deb12u1).  Upgrade libfcgi-dev and libfcgi0ldbl,
  or give --with-patched-fcgi if you know that yours has it.])])
  ])
])

dnl OCTROI_CFLAG(variable, flag, [program]): appends flag to variable when the compiler takes it and
dnl says nothing (clang only warns about a flag that it does not know, hence -Werror).
AC_DEFUN([OCTROI_CFLAG], [
  AS_VAR_PUSHDEF([octroi_cache], [octroi_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [octroi_cache], [
    octroi_saved=$CFLAGS
    CFLAGS="$CFLAGS $$1 -Werror $2"
    AC_COMPILE_IFELSE([m4_default([$3], [AC_LANG_PROGRAM([], [])])],
      [AS_VAR_SET([octroi_cache], [yes])], [AS_VAR_SET([octroi_cache], [no])])
    CFLAGS=$octroi_saved
  ])
  AS_VAR_IF([octroi_cache], [yes], [$1="$$1 $2"])
  AS_VAR_POPDEF([octroi_cache])
])

dnl OCTROI_LDFLAG(variable, flag): the same for the linker.
AC_DEFUN([OCTROI_LDFLAG], [
  AS_VAR_PUSHDEF([octroi_cache], [octroi_cv_ldflag_$2])
  AC_CACHE_CHECK([whether the linker takes $2], [octroi_cache], [
    octroi_saved=$LDFLAGS
    octroi_saved_cflags=$CFLAGS
    CFLAGS="$CFLAGS -Werror"
    LDFLAGS="$LDFLAGS $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([octroi_cache], [yes])], [AS_VAR_SET([octroi_cache], [no])])
    LDFLAGS=$octroi_saved
    CFLAGS=$octroi_saved_cflags
  ])
  AS_VAR_IF([octroi_cache], [yes], [$1="$$1 $2"])
  AS_VAR_POPDEF([octroi_cache])
])

dnl OCTROI_WARNINGS: for everybody, never as errors except where the language itself would be broken.
AC_DEFUN([OCTROI_WARNINGS], [
  m4_foreach_w([octroi_flag], [-Wall -Wextra -Wconversion -Wshadow -Wformat=2
      -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
      -Wtrampolines -Wbidi-chars=any -Werror=format-security -Werror=implicit
      -Werror=incompatible-pointer-types -Werror=int-conversion],
    [OCTROI_CFLAG([WARNING_CFLAGS], octroi_flag)])
  AC_SUBST([WARNING_CFLAGS])
])

dnl OCTROI_DEVELOPER_WARNINGS: what the project itself is held to.  Not as errors beside a sanitizer,
dnl whose code makes gcc warn of what is not there.
AC_DEFUN([OCTROI_DEVELOPER_WARNINGS], [
  m4_foreach_w([octroi_flag], [-Wpointer-arith -Wcast-qual -Wwrite-strings -Wold-style-definition
      -Wredundant-decls -Wnull-dereference -Wduplicated-cond -Wduplicated-branches
      -Wdouble-promotion -Wfloat-equal -Walloca -Wdate-time -Wnested-externs
      -Warray-bounds=2 -Wstringop-overflow=4],
    [OCTROI_CFLAG([DEVELOPER_CFLAGS], octroi_flag)])
  AS_CASE(["$enable_asan $enable_ubsan $enable_tsan"], [*yes*], [], [DEVELOPER_CFLAGS="$DEVELOPER_CFLAGS -Werror"])
  AC_SUBST([DEVELOPER_CFLAGS])
])

dnl OCTROI_HARDENING: the flags of the OpenSSF guide for C, each where compiler and linker take it.
dnl _FORTIFY_SOURCE needs optimisation and is no use beside AddressSanitizer; a value of the
dnl builder's own in CPPFLAGS stands.
AC_DEFUN([OCTROI_HARDENING], [
  m4_foreach_w([octroi_flag], [-fstack-protector-strong -fstack-clash-protection
      -fstrict-flex-arrays=3 -ftrivial-auto-var-init=zero -fzero-init-padding-bits=all
      -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
      -fcf-protection=full -mbranch-protection=standard -fexceptions -fPIE],
    [OCTROI_CFLAG([HARDENING_CFLAGS], octroi_flag)])
  AS_IF([test "$enable_asan" != yes && test "$enable_tsan" != yes], [
    AS_CASE(["$CPPFLAGS $CFLAGS"], [*_FORTIFY_SOURCE*], [], [
      OCTROI_CFLAG([HARDENING_CFLAGS], [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3], [AC_LANG_SOURCE([
@%:@include <string.h>
@%:@ifndef __OPTIMIZE__
@%:@error "no optimisation"
@%:@endif
int main(void) { return 0; }])])
    ])
  ])
  m4_foreach([octroi_flag], [[-pie], [-Wl,-z,relro], [-Wl,-z,now], [-Wl,-z,noexecstack], [-Wl,-z,nodlopen],
      [-Wl,--as-needed], [-Wl,--no-copy-dt-needed-entries]],
    [OCTROI_LDFLAG([HARDENING_LDFLAGS], m4_defn([octroi_flag]))])
  AC_SUBST([HARDENING_CFLAGS])
  AC_SUBST([HARDENING_LDFLAGS])
])

dnl OCTROI_SANITIZERS: one flag set for compiling and linking; a sanitizer that was asked for and does
dnl not work stops configure.
AC_DEFUN([OCTROI_SANITIZERS], [
  AS_IF([test "$enable_asan" = yes], [octroi_wanted="$octroi_wanted -fsanitize=address"])
  AS_IF([test "$enable_ubsan" = yes],
    [octroi_wanted="$octroi_wanted -fsanitize=undefined -fno-sanitize-recover=undefined"])
  AS_IF([test "$enable_tsan" = yes], [octroi_wanted="$octroi_wanted -fsanitize=thread"])
  AS_IF([test "$enable_coverage" = yes], [octroi_wanted="$octroi_wanted --coverage"])
  AS_IF([test -n "$octroi_wanted"], [
    AC_MSG_CHECKING([whether$octroi_wanted works])
    octroi_saved=$CFLAGS
    CFLAGS="$CFLAGS $octroi_wanted"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no]); AC_MSG_ERROR([this compiler cannot do$octroi_wanted])])
    CFLAGS=$octroi_saved
    SANITIZER_CFLAGS="$octroi_wanted -fno-omit-frame-pointer"
    SANITIZER_LDFLAGS=$octroi_wanted
  ])
  AC_SUBST([SANITIZER_CFLAGS])
  AC_SUBST([SANITIZER_LDFLAGS])
])

dnl OCTROI_SECCOMP: libseccomp, for the daemon's filter of system calls.  Optional, and what is given up
dnl is said.  Not beside a sanitizer or gcov, which make threads, files and system calls of their own.
AC_DEFUN([OCTROI_SECCOMP], [
  AC_ARG_WITH([seccomp],
    [AS_HELP_STRING([--without-seccomp], [no filter of system calls for the daemon])],
    [], [with_seccomp=check])
  AS_IF([test -n "$octroi_wanted"], [with_seccomp=no])
  octroi_sandbox=no
  AS_IF([test "$with_seccomp" != no],
    [PKG_CHECK_MODULES([SECCOMP], [libseccomp >= 2.5], [octroi_sandbox=seccomp], [octroi_sandbox=no])])
  AS_IF([test "$octroi_sandbox" != no],
    [AC_DEFINE([HAVE_SECCOMP], [1], [libseccomp is there])],
    [test "$with_seccomp" = check],
    [AC_MSG_WARN([without libseccomp (2.5 or later) octroi has no filter of system calls; on Debian:
  apt-get install libseccomp-dev])],
    [test "$with_seccomp" = yes],
    [AC_MSG_ERROR([libseccomp (2.5 or later) is missing; on Debian: apt-get install libseccomp-dev])])
])
