/* The sub-commands of the binary: one file and one table row (in main.c) each. */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H

/* argv[0] is the command's own name. Each returns the process's exit status: 0 done, 1 failed (with
 * one line on stderr), 2 wrong usage. */
int command_serve(int argc, char **argv);
int command_run(int argc, char **argv);
int command_submit(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_sweep(int argc, char **argv);
int command_study(int argc, char **argv);
int command_data(int argc, char **argv);
int command_backup(int argc, char **argv);
int command_restore(int argc, char **argv);
int command_export(int argc, char **argv);
int command_token(int argc, char **argv);
int command_predict(int argc, char **argv);
int command_analyse(int argc, char **argv);
int command_gradients(int argc, char **argv);

#endif
